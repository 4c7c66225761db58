"""The job of `benchmarks.recovery` on Celery as it comes, with late acknowledgement."""

from benchmarks._hold import hold
from benchmarks.peers.stock import app

app.task(name="hold")(hold)


def publish(job: str) -> None:
    """Ask for one, confirmed."""
    app.send_task("hold", (job,))
