"""What may be asked, of whom, at what price: the contract between publishers and workers.

`celery -A tasks worker` and `celery -A tasks flower` find the app here. It registers no task itself: workers load
theirs by name (`include`), publishers send by name, so importing this package loads nothing heavy.
"""

from celery import Celery

app = Celery("bulkhead")
app.config_from_object("tasks.configuration")

__all__ = ["app"]
