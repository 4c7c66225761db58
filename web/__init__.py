"""The HTTP intake: takes blueprints, answers 202, and tells how they fare. `python -m web` serves it."""
