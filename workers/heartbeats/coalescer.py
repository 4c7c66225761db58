"""The loop: records from the source into the window, news to the live readings, closed windows to the sink.

One thread reads and folds. Another one writes a closed window while the next one fills. Whatever goes wrong beyond
repair ends the process; the next one goes on from the position in the table.
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
from workers.heartbeats.sink import Flush, FlushResult, LeaseLost, Sink
from workers.heartbeats.sources import Batch, Position, Positions, ResumeCheck, Source, SourceLost, describe
from workers.heartbeats.window import Names, Window

POLL_TIMEOUT = 0.1  # seconds that one look at the source may wait
PUBLISH_INTERVAL = 0.5  # seconds between two looks for news: with the writing, readings are a second old at most
LEASE_RENEWAL_FRACTION = 1 / 3  # part of the lease after which it is renewed

# Seconds within which the record that was read last must come again. It is in the stream; if not, it never comes.
RESUME_TIMEOUT = 15.0

# Seconds before a lost broker is asked again.
RECONNECT_DELAY = 1.0

logger = logging.getLogger(__name__)


class Coalescer:
    """Runs until told to stop. `new_window(counts)` makes the window, given the machines in the table by plant."""

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
        """Wait for the lease, then read, fold and write. Raises Fenced, Refused, NoNode or PositionLost."""
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
        """False if told to stop before."""
        told = False
        while not self._is_stopping():
            if self._sink.acquire_lease(time.time(), self._lease):
                return True
            if not told:
                logger.info("Another coalescer is at work. Standing by.")
                told = True
            self._wait(self._lease * LEASE_RENEWAL_FRACTION)
        return False

    def _start(self) -> None:
        self._read: dict[int, Position] = self._sink.positions()
        self._written = dict(self._read)
        self._window = self._new_window(self._sink.machine_counts())
        self._window_opened = self._renewed_at = self._published_at = time.monotonic()
        self._received_at = 0.0
        self._unwritten_since: float | None = None  # when the broker took the first record of this window
        self._malformed = self._counted = 0
        self._resume: ResumeCheck | None = None
        logger.info(
            "Reading %s.", f"after {_describe_positions(self._read)}" if self._read else "from the oldest record on"
        )

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
        """The next records that are new; opens the source if it is not."""
        if self._is_stopping():
            return None
        try:
            if self._resume is None:
                gc.collect()  # what an attempt before left: connections and errors hold each other, and gc is off
                resume = ResumeCheck(self._read)
                self._source.open(resume.offsets)
                self._resume, self._resume_until = resume, time.monotonic() + RESUME_TIMEOUT
            batch = self._source.poll(POLL_TIMEOUT)
        except SourceLost as error:
            logger.warning("%s Trying again in %g s.", error, RECONNECT_DELAY)
            self._resume = None
            self._wait(RECONNECT_DELAY)
            return None
        if batch is not None:
            return self._resume.filter(batch)
        if self._resume.is_pending and time.monotonic() > self._resume_until:
            raise self._resume.missing_record_error()
        return None

    def _fold(self, batch: Batch) -> None:
        strange: defaultdict[str, list[Beat]] = defaultdict(list)
        for body in batch.bodies:
            try:
                message = parse(body)
            except MalformedHeartbeats as error:
                self._count_malformed(error)
                continue
            if left := self._window.fold(message.plant, message.beats, batch.received_at):
                strange[message.plant] += left
        if strange:
            asked: Names = {plant: dict.fromkeys(beat.machine for beat in beats) for plant, beats in strange.items()}
            self._window.add_known(asked, self._sink.load(asked))
            for plant, beats in strange.items():
                self._window.fold(plant, beats, batch.received_at)
        self._read[batch.partition] = batch.position
        self._received_at = batch.received_at
        if self._unwritten_since is None:
            self._unwritten_since = batch.received_at
            if self._writing is None:
                self._observer.set_oldest_unwritten(batch.received_at)

    def _count_malformed(self, error: MalformedHeartbeats) -> None:
        if self._malformed == 0:
            logger.warning("A record is no message of heartbeats and is left out: %s", error)
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
        """What is in the table will not be read again, so it is shown before."""
        self._latest_readings.flush()
        flushed = self._sink.flush(flush)
        self._latest_readings.publish_flush(
            LastFlush(
                flushed_at=time.time(),
                received_at=flush.received_at,
                window_seconds=flush.window_seconds,
                flush_seconds=flushed.seconds,
                machines=len(flush.machines) - flushed.rejected_rows,
                beats=flush.beats,
            )
        )
        return flushed

    def _collect_flush(self, *, wait: bool = False) -> None:
        """See what became of the flush, if it has ended. Raises what it raised."""
        if self._writing is None or not (wait or self._writing.done()):
            return
        flush, flushed = self._writing.result()
        self._writing = None
        self._written = dict(flush.after)
        refused = dict(self._window.rejected, malformed=self._malformed)
        self._window.rejected.clear()
        self._malformed = 0
        self._observer.observe_flush(flush, flushed, refused)
        self._observer.set_oldest_unwritten(self._unwritten_since)
        logger.info(
            "Wrote %d machines, %d beats of %.1f s, in %.3f s with %d retries; %s, %.1f s old.%s",
            len(flush.machines) - flushed.rejected_rows,
            flush.beats,
            flush.window_seconds,
            flushed.seconds,
            flushed.retries,
            _describe_positions(flush.after),
            max(0.0, time.time() - flush.received_at),
            "".join(f" {kind}: {count}." for kind, count in refused.items() if count),
        )

    def _renew_lease(self, now: float) -> None:
        """Keep the lease while nothing is written; a flush renews it, too."""
        if self._renewing is not None and self._renewing.done():
            renewing, self._renewing = self._renewing, None
            if not renewing.result():
                raise LeaseLost
        if self._renewing is None and now - self._renewed_at >= self._lease * LEASE_RENEWAL_FRACTION:
            self._renewing = self._writer.submit(lambda: self._sink.acquire_lease(time.time(), self._lease))
            self._renewed_at = now

    def _shut_down(self) -> None:
        """Write what was read, and let the next one in."""
        self._publish(time.monotonic())
        self._collect_flush(wait=True)
        self._close_window()
        self._collect_flush(wait=True)
        self._latest_readings.close()
        self._sink.release_lease()
        logger.info("Stopped; everything that was read is written.")


def _describe_positions(positions: Positions) -> str:
    return describe([position.offset for position in positions.values()])
