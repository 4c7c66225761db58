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

from tasks.heartbeats import Beat, Malformed, parse
from tasks.sensors import Coalesced
from workers.heartbeats.latest_readings import Live
from workers.heartbeats.metrics import UNOBSERVED, Observer
from workers.heartbeats.sink import Fenced, Flush, Flushed, Sink
from workers.heartbeats.sources import Batch, Position, Positions, Resume, Source, SourceLost, told
from workers.heartbeats.window import Names, Window

TICK = 0.1  # seconds that one look at the source may wait
LIVE_INTERVAL = 0.5  # seconds between two looks for news: with the writing, readings are a second old at most
RENEWAL = 1 / 3  # part of the lease after which it is renewed

# Seconds within which the record that was read last must come again. It is in the stream; if not, it never comes.
RESUME_PATIENCE = 15.0

# Seconds before a lost broker is asked again.
REST = 1.0

logger = logging.getLogger(__name__)


class Coalescer:
    """Runs until told to stop. `new_window(counts)` makes the window, given the machines in the table by plant."""

    def __init__(
        self,
        source: Source,
        sink: Sink,
        live: Live,
        new_window: Callable[[dict[str, int]], Window],
        *,
        stopping: Callable[[], bool],
        lease: float,
        wait: Callable[[float], object] = time.sleep,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._source = source
        self._sink = sink
        self._live = live
        self._new_window = new_window
        self._stopping = stopping
        self._lease = lease
        self._wait = wait
        self._observer = observer
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sink")
        self._writing: Future[tuple[Flush, Flushed]] | None = None
        self._renewing: Future[bool] | None = None

    def run(self) -> None:
        """Wait for the lease, then read, fold and write. Raises Fenced, Refused, NoNode or PositionLost."""
        if not self._wait_for_lease():
            return
        try:
            self._begin()
            while not self._stopping():
                self._step()
            self._finish()
        finally:
            self._source.close()
            self._writer.shutdown()

    def _wait_for_lease(self) -> bool:
        """False if told to stop before."""
        told = False
        while not self._stopping():
            if self._sink.claim(time.time(), self._lease):
                return True
            if not told:
                logger.info("Another coalescer is at work. Standing by.")
                told = True
            self._wait(self._lease * RENEWAL)
        return False

    def _begin(self) -> None:
        self._read: dict[int, Position] = self._sink.positions()
        self._written = dict(self._read)
        self._window = self._new_window(self._sink.counts())
        self._window_opened = self._renewed_at = self._shown_at = time.monotonic()
        self._recorded_at = 0.0
        self._waits_since: float | None = None  # when the broker took the first record of this window
        self._malformed = self._counted = 0
        self._resume: Resume | None = None
        logger.info("Reading %s.", f"after {_told(self._read)}" if self._read else "from the oldest record on")

    def _step(self) -> None:
        batch = self._take()
        if batch is not None and batch.bodies:
            self._fold(batch)
        now = time.monotonic()
        if now - self._shown_at >= LIVE_INTERVAL:
            self._show(now)
        self._collect()
        if self._window.due() and self._writing is None:
            self._close_window()
        self._renew(now)

    def _take(self) -> Batch | None:
        """The next records that are new; opens the source if it is not."""
        if self._stopping():
            return None
        try:
            if self._resume is None:
                gc.collect()  # what an attempt before left: connections and errors hold each other, and gc is off
                resume = Resume(self._read)
                self._source.open(resume.offsets)
                self._resume, self._resume_until = resume, time.monotonic() + RESUME_PATIENCE
            batch = self._source.take(TICK)
        except SourceLost as error:
            logger.warning("%s Trying again in %g s.", error, REST)
            self._resume = None
            self._wait(REST)
            return None
        if batch is not None:
            return self._resume.admit(batch)
        if self._resume.pending and time.monotonic() > self._resume_until:
            raise self._resume.nothing_came()
        return None

    def _fold(self, batch: Batch) -> None:
        strange: defaultdict[str, list[Beat]] = defaultdict(list)
        for body in batch.bodies:
            try:
                message = parse(body)
            except Malformed as error:
                self._refuse(error)
                continue
            if left := self._window.fold(message.plant, message.beats, batch.at):
                strange[message.plant] += left
        if strange:
            asked: Names = {plant: dict.fromkeys(beat.machine for beat in beats) for plant, beats in strange.items()}
            self._window.learn(asked, self._sink.recall(asked))
            for plant, beats in strange.items():
                self._window.fold(plant, beats, batch.at)
        self._read[batch.partition] = batch.position
        self._recorded_at = batch.at
        if self._waits_since is None:
            self._waits_since = batch.at
            if self._writing is None:
                self._observer.waits(batch.at)

    def _refuse(self, error: Malformed) -> None:
        if self._malformed == 0:
            logger.warning("A record is no message of heartbeats and is left out: %s", error)
        self._malformed += 1

    def _show(self, now: float) -> None:
        if changes := self._window.changes():
            self._live.show(changes)
        self._shown_at = now

    def _close_window(self) -> None:
        """Hand the window to the writer, unless nothing was read."""
        machines = self._window.close()
        now = time.monotonic()
        if self._read != self._written:
            beats = self._window.counted - self._counted
            self._counted = self._window.counted
            seconds = now - self._window_opened
            flush = Flush(machines, self._written, dict(self._read), beats, seconds, self._recorded_at)
            self._show(now)
            self._writing = self._writer.submit(lambda: (flush, self._write(flush)))
            self._waits_since = None
        self._window_opened = now

    def _write(self, flush: Flush) -> Flushed:
        """What is in the table will not be read again, so it is shown before."""
        self._live.settle()
        flushed = self._sink.flush(flush)
        self._live.wrote(
            Coalesced(
                flushed_at=time.time(),
                recorded_at=flush.recorded_at,
                window=flush.window,
                seconds=flushed.seconds,
                machines=len(flush.machines) - flushed.refused,
                beats=flush.beats,
            )
        )
        return flushed

    def _collect(self, *, wait: bool = False) -> None:
        """See what became of the flush, if it has ended. Raises what it raised."""
        if self._writing is None or not (wait or self._writing.done()):
            return
        flush, flushed = self._writing.result()
        self._writing = None
        self._written = dict(flush.after)
        refused = dict(self._window.refused, malformed=self._malformed)
        self._window.refused.clear()
        self._malformed = 0
        self._observer.wrote(flush, flushed, refused)
        self._observer.waits(self._waits_since)
        logger.info(
            "Wrote %d machines, %d beats of %.1f s, in %.3f s with %d retries; %s, %.1f s old.%s",
            len(flush.machines) - flushed.refused,
            flush.beats,
            flush.window,
            flushed.seconds,
            flushed.retries,
            _told(flush.after),
            max(0.0, time.time() - flush.recorded_at),
            "".join(f" {kind}: {count}." for kind, count in refused.items() if count),
        )

    def _renew(self, now: float) -> None:
        """Keep the lease while nothing is written; a flush renews it, too."""
        if self._renewing is not None and self._renewing.done():
            renewing, self._renewing = self._renewing, None
            if not renewing.result():
                raise Fenced
        if self._renewing is None and now - self._renewed_at >= self._lease * RENEWAL:
            self._renewing = self._writer.submit(lambda: self._sink.claim(time.time(), self._lease))
            self._renewed_at = now

    def _finish(self) -> None:
        """Write what was read, and let the next one in."""
        self._show(time.monotonic())
        self._collect(wait=True)
        self._close_window()
        self._collect(wait=True)
        self._live.close()
        self._sink.release()
        logger.info("Stopped; everything that was read is written.")


def _told(positions: Positions) -> str:
    return told([position.offset for position in positions.values()])
