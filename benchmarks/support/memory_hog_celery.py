"""The job of `benchmarks.recovery` on stock Celery with late acknowledgement."""

from benchmarks.peers.stock import app
from benchmarks.support.memory_hog import hold

app.task(name="hold")(hold)


def publish(job: str) -> None:
    """Publish one job with a confirm."""
    app.send_task("hold", (job,))
