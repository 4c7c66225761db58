"""The runtime of a worker: Celery extensions, the job runner, its lease and its context."""
