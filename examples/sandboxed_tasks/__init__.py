"""Celery tasks that run native code in the sandbox: a worker of its own, without Bulkhead's platform."""
