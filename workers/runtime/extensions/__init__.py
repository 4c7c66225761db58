"""Extensions of Celery: consumer, pool, requests, control commands and scheduler, which its settings name."""
