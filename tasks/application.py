"""The Celery app. It registers no task itself: workers load theirs by name (`include`), publishers send by name, so
importing it loads nothing heavy.
"""

from celery import Celery

app = Celery("bulkhead")
app.config_from_object("tasks.configuration")
