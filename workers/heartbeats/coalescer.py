"""The main loop: reads records into the window, publishes changes as latest readings, writes closed windows.

One thread reads and folds; another writes a closed window while the next one fills. An error that cannot be repaired
ends the process; the next process continues from the position in the table.
"""

import gc
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from tasks.heartbeats import Beat, MalformedHeartbeats, parse
from tasks.sensors import LastFlush
from workers.heartbeats.latest_readings import LatestReadings
from workers.heartbeats.metrics import NULL_OBSERVER, Observer
from workers.heartbeats.sink import Flush, FlushResult, Sink, WriterLeaseLost
from workers.heartbeats.sources import Batch, Position, Positions, ResumeCheck, Source, SourceLost, describe
from workers.heartbeats.window import Names, Window

POLL_TIMEOUT = 0.1  # seconds that one poll of the source may wait
PUBLISH_INTERVAL = 0.5  # seconds between publications: with the write to Redis, readings are at most a second old
LEASE_RENEWAL_FRACTION = 1 / 3  # the lease is renewed after this fraction of it

# Seconds within which the last record that was read must arrive again. If it does not, it is lost.
RESUME_TIMEOUT = 15.0

# Seconds before the next attempt to connect to a lost broker.
RECONNECT_DELAY = 1.0

logger = logging.getLogger(__name__)


class Coalescer:
    """Runs until it is stopped. `new_window(counts)` creates the window from the number of machines of each plant."""

    def __init__(
        self,
        source: Source,
        sink: Sink,
        latest_readings: LatestReadings,
        new_window: Callable[[dict[str, int]], Window],
        *,
        is_stopping: Callable[[], bool],
        lease: float,
        wait: Callable[[float], object] = time.sleep,
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        self._source = source
        self._sink = sink
        self._latest_readings = latest_readings
        self._new_window = new_window
        self._is_stopping = is_stopping
        self._lease = lease
        self._wait = wait
        self._observer = observer
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sink")
        self._writing: Future[tuple[Flush, FlushResult]] | None = None
        self._renewing: Future[bool] | None = None

    def run(self) -> None:
        """Wait for the lease, then read, fold and write.

        Raises WriterLeaseLost, WriteRejected, SchemaOutdated, NoWritableNode or PositionLost.
        """
        if not self._wait_for_lease():
            return
        try:
            self._start()
            while not self._is_stopping():
                self._step()
            self._shut_down()
        finally:
            self._source.close()
            self._writer.shutdown()

    def _wait_for_lease(self) -> bool:
        """False if the process was stopped before it got the lease."""
        has_logged = False
        while not self._is_stopping():
            if self._sink.acquire_lease(time.time(), self._lease):
                return True
            if not has_logged:
                logger.info("Another coalescer holds the lease. Standing by.")
                has_logged = True
            self._wait(self._lease * LEASE_RENEWAL_FRACTION)
        return False

    def _start(self) -> None:
        self._read: dict[int, Position] = self._sink.positions()
        self._written = dict(self._read)
        self._window = self._new_window(self._sink.machine_counts())
        self._window_opened = self._renewed_at = self._published_at = time.monotonic()
        self._received_at = 0.0
        self._unwritten_since: float | None = None  # when the broker received the first record of this window
        self._malformed = self._counted = 0
        self._resume: ResumeCheck | None = None
        start = f"after {_describe_positions(self._read)}" if self._read else "from the oldest record on"
        logger.info("Reading %s.", start)

    def _step(self) -> None:
        batch = self._poll()
        if batch is not None and batch.bodies:
            self._fold(batch)
        now = time.monotonic()
        if now - self._published_at >= PUBLISH_INTERVAL:
            self._publish(now)
        self._collect_flush()
        if self._window.is_due() and self._writing is None:
            self._close_window()
        self._renew_lease(now)

    def _poll(self) -> Batch | None:
        """The next new records. Opens the source first if it is closed."""
        if self._is_stopping():
            return None
        try:
            if self._resume is None:
                gc.collect()  # a failed connection and its error refer to each other, and automatic gc is off
                resume = ResumeCheck(self._read)
                self._source.open(resume.offsets)
                self._resume, self._resume_until = resume, time.monotonic() + RESUME_TIMEOUT
            batch = self._source.poll(POLL_TIMEOUT)
        except SourceLost as error:
            logger.warning("%s Retrying in %g s.", error, RECONNECT_DELAY)
            self._resume = None
            self._wait(RECONNECT_DELAY)
            return None
        if batch is not None:
            return self._resume.filter(batch)
        if self._resume.is_pending and time.monotonic() > self._resume_until:
            raise self._resume.missing_record_error()
        return None

    def _fold(self, batch: Batch) -> None:
        unknown: defaultdict[str, list[Beat]] = defaultdict(list)
        for body in batch.bodies:
            try:
                message = parse(body)
            except MalformedHeartbeats as error:
                self._count_malformed(error)
                continue
            if beats := self._window.fold(message.plant, message.beats, batch.received_at):
                unknown[message.plant] += beats
        if unknown:
            names: Names = {plant: dict.fromkeys(beat.machine for beat in beats) for plant, beats in unknown.items()}
            self._window.add_known(names, self._sink.load(names))
            for plant, beats in unknown.items():
                self._window.fold(plant, beats, batch.received_at)
        self._read[batch.partition] = batch.position
        self._received_at = batch.received_at
        if self._unwritten_since is None:
            self._unwritten_since = batch.received_at
            if self._writing is None:
                self._observer.set_oldest_unwritten(batch.received_at)

    def _count_malformed(self, error: MalformedHeartbeats) -> None:
        if self._malformed == 0:
            logger.warning("Skipped a record that is not a heartbeats message: %s", error)
        self._malformed += 1

    def _publish(self, now: float) -> None:
        if changes := self._window.drain_changes():
            self._latest_readings.publish(changes)
        self._published_at = now

    def _close_window(self) -> None:
        """Hand the window to the writer, unless nothing was read."""
        machines = self._window.close()
        now = time.monotonic()
        if self._read != self._written:
            beats = self._window.counted - self._counted
            self._counted = self._window.counted
            seconds = now - self._window_opened
            flush = Flush(machines, self._written, dict(self._read), beats, seconds, self._received_at)
            self._publish(now)
            self._writing = self._writer.submit(lambda: (flush, self._write(flush)))
            self._unwritten_since = None
        self._window_opened = now

    def _write(self, flush: Flush) -> FlushResult:
        """Write the window. Its readings are published first: records in the table are never read again."""
        self._latest_readings.flush()
        result = self._sink.flush(flush)
        self._latest_readings.publish_flush(
            LastFlush(
                flushed_at=time.time(),
                received_at=flush.received_at,
                window_seconds=flush.window_seconds,
                flush_seconds=result.seconds,
                machines=len(flush.machines) - result.rejected_rows,
                beats=flush.beats,
            )
        )
        return result

    def _collect_flush(self, *, wait: bool = False) -> None:
        """Record the result of the flush if it has ended. Raises the error that ended it."""
        if self._writing is None or not (wait or self._writing.done()):
            return
        flush, result = self._writing.result()
        self._writing = None
        self._written = dict(flush.after)
        rejected = dict(self._window.rejected, malformed=self._malformed)
        self._window.rejected.clear()
        self._malformed = 0
        self._observer.observe_flush(flush, result, rejected)
        self._observer.set_oldest_unwritten(self._unwritten_since)
        logger.info(
            "Wrote %d machines, %d beats of %.1f s, in %.3f s with %d retries; %s, %.1f s old.%s",
            len(flush.machines) - result.rejected_rows,
            flush.beats,
            flush.window_seconds,
            result.seconds,
            result.retries,
            _describe_positions(flush.after),
            max(0.0, time.time() - flush.received_at),
            "".join(f" {reason}: {count}." for reason, count in rejected.items() if count),
        )

    def _renew_lease(self, now: float) -> None:
        """Keep the lease while nothing is written. A flush renews it too."""
        if self._renewing is not None and self._renewing.done():
            renewing, self._renewing = self._renewing, None
            if not renewing.result():
                raise WriterLeaseLost
        if self._renewing is None and now - self._renewed_at >= self._lease * LEASE_RENEWAL_FRACTION:
            self._renewing = self._writer.submit(lambda: self._sink.acquire_lease(time.time(), self._lease))
            self._renewed_at = now

    def _shut_down(self) -> None:
        """Write what was read and release the lease."""
        self._publish(time.monotonic())
        self._collect_flush(wait=True)
        self._close_window()
        self._collect_flush(wait=True)
        self._latest_readings.close()
        self._sink.release_lease()
        logger.info("Stopped. Every record that was read is in the table.")


def _describe_positions(positions: Positions) -> str:
    return describe([position.offset for position in positions.values()])
