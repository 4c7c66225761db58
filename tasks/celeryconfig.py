"""Celery's configuration, which Celery reads on first use. The architecture page gives the reason for each value."""

from celery.schedules import schedule

from tasks import maintenance, tickets
from tasks.messaging.topology import EXCHANGE, QUEUES, RENDER, ROUTES
from tasks.settings import settings

_settings = settings()

broker_url = _settings.broker_url.get_secret_value()
broker_connection_retry_on_startup = True
broker_connection_timeout = _settings.publish_timeout
broker_heartbeat = 30
broker_pool_limit = 8
broker_transport_options = {
    "confirm_publish": True,
    # Under a memory or disk alarm RabbitMQ stops reading: without a timeout a publisher would hang forever.
    "write_timeout": _settings.publish_timeout,
}

# JSON only: nothing from a message is ever unpickled.
accept_content = ["json"]
task_serializer = "json"
result_serializer = "json"
task_ignore_result = True  # the ledger holds results

task_queues = QUEUES
task_default_queue = RENDER
task_default_exchange = EXCHANGE.name
task_default_exchange_type = EXCHANGE.type
task_default_routing_key = RENDER
task_routes = {pattern: {"queue": queue} for pattern, queue in ROUTES.items()}
task_create_missing_queues = False

# A message is acknowledged once the ledger has the outcome of its job, and is redelivered if its worker dies.
task_acks_late = True
task_reject_on_worker_lost = True
task_acks_on_failure = False
task_acks_on_timeout = False
# A backstop for a worker child that hangs itself: the limits of a render end the render alone.
task_time_limit = _settings.render_wall_limit + 120

include = ["workers.render.task", "workers.maintenance", "workers.tickets.task", "workers.webhooks.task"]
worker_consumer = "workers.runtime.extensions.consumer:Consumer"
worker_pool = "workers.runtime.extensions.pool:TaskPool"
worker_concurrency = 1  # one render per memory limit
worker_prefetch_multiplier = 1  # no job waits behind a slow one
worker_detect_quorum_queues = True
worker_max_tasks_per_child = _settings.max_jobs_per_child
# Seconds. A child has a low priority, so on a busy machine it takes longer to start than Celery's default of 4 s.
worker_proc_alive_timeout = 120
worker_cancel_long_running_tasks_on_connection_loss = False  # leases protect the job: let it finish
worker_enable_remote_control = True
worker_send_task_events = True
task_track_started = True
worker_hijack_root_logger = False
worker_redirect_stdouts = False

beat_schedule = {
    "sweep": {"task": maintenance.SWEEP_TASK, "schedule": schedule(run_every=_settings.maintenance_interval)},
    "retain": {"task": maintenance.RETAIN_TASK, "schedule": schedule(run_every=maintenance.RETAIN_INTERVAL)},
    "tickets": {
        "task": tickets.REQUEST_TASK,
        "schedule": schedule(run_every=tickets.check_interval(_settings.tickets_interval)),
    },
}
beat_scheduler = "workers.runtime.extensions.scheduler:SingletonScheduler"
# The scheduler renews its lock in each loop.
beat_max_loop_interval = min(_settings.maintenance_interval, broker_heartbeat / 3)
