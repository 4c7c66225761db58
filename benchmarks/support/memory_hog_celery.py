"""The job of `benchmarks.recovery` on Celery as it comes, with late acknowledgement."""

from benchmarks.peers.stock import app
from benchmarks.support.memory_hog import hold

app.task(name="hold")(hold)


def publish(job: str) -> None:
    """Ask for one, confirmed."""
    app.send_task("hold", (job,))
