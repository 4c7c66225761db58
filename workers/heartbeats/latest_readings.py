"""The latest readings in Redis, twice a second: for viewers, whereas the table is the durable record.

A thread of its own writes them, so a flush does not delay them. While Redis is down the newest reading of each machine
is buffered, and folding beats goes on.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import redis

from tasks.heartbeats import READINGS
from tasks.sensors import LAST_FLUSH_KEY, PLANTS_KEY, LastFlush, plant_key, sensor_key
from workers.heartbeats.machine import Machine

TIMEOUT = 2.0  # seconds for a reply from Redis
BATCH_MACHINES = 500  # machines that one script writes, so that other clients of Redis wait a few milliseconds at most
FIELDS = ("seen_at", "seq", "status", *READINGS, "received_at")

# Writes hashes and their expiry in one step, except hashes that are newer already. KEYS: the plant's set, then the
# hashes. ARGV: time to live in seconds, number of fields, their names, then for each hash the machine's name and the
# values of the fields. Removes machines from the set once they have been silent for the time to live. Returns the
# numbers of the hashes that were written, counted from 1.
SCRIPT = """
local ttl, width = tonumber(ARGV[1]), tonumber(ARGV[2])
local written = {}
for i = 2, #KEYS do
  local at = 2 + width + (i - 2) * (width + 1)
  local seen = redis.call('HGET', KEYS[i], ARGV[3])
  if not seen or tonumber(seen) <= tonumber(ARGV[at + 2]) then
    local pairs = {}
    for f = 1, width do
      pairs[2 * f - 1], pairs[2 * f] = ARGV[2 + f], ARGV[at + 1 + f]
    end
    redis.call('HSET', KEYS[i], unpack(pairs))
    redis.call('EXPIRE', KEYS[i], ttl)
    redis.call('ZADD', KEYS[1], ARGV[at + 1 + width], ARGV[at + 1])
    written[#written + 1] = i - 1
  end
end
redis.call('EXPIRE', KEYS[1], ttl)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[#ARGV] - ttl)
return written
"""

logger = logging.getLogger(__name__)

Values = tuple[Any, ...]  # of FIELDS


class LatestReadings(Protocol):
    """Publishes the latest readings of machines."""

    def publish(self, changes: Mapping[Machine, float]) -> None:
        """Publish machines that changed, with the times at which the broker received the changes. Does not block."""

    def flush(self) -> None:
        """Wait until everything is published, but not for an unavailable Redis."""

    def publish_flush(self, flush: LastFlush) -> None:
        """Publish the result of the last flush. Does not block."""

    def close(self) -> None:
        """Publish what is pending, if that is possible now."""


class NullLatestReadings:
    """Publishes nothing: for a platform without Redis."""

    def publish(self, changes: Mapping[Machine, float]) -> None:
        pass

    def flush(self) -> None:
        pass

    def publish_flush(self, flush: LastFlush) -> None:
        pass

    def close(self) -> None:
        pass


class RedisLatestReadings:
    """Publishes to Redis at `url`. A hash expires `ttl` seconds after the last beat of its machine."""

    def __init__(self, url: str, ttl: int) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
        self._script = self._client.register_script(SCRIPT)
        self._ttl = ttl
        self._pending: dict[str, dict[str, Values]] = {}
        self._last_flush: LastFlush | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._flushed = threading.Event()
        self._flushed.set()
        self._stopping = False
        self._is_redis_down = False
        self._thread = threading.Thread(target=self._run, name="latest-readings", daemon=True)
        self._thread.start()

    def publish(self, changes: Mapping[Machine, float]) -> None:
        changed: defaultdict[str, dict[str, Values]] = defaultdict(dict)
        for machine, received_at in changes.items():
            changed[machine.plant][machine.machine] = (
                machine.seen_at,
                machine.seq,
                machine.status,
                *machine.readings,
                received_at,
            )
        with self._lock:
            for plant, machines in changed.items():
                self._pending.setdefault(plant, {}).update(machines)
            self._flushed.clear()
        self._wake.set()

    def flush(self) -> None:
        self._flushed.wait(TIMEOUT)

    def publish_flush(self, flush: LastFlush) -> None:
        self._last_flush = flush
        self._wake.set()

    def close(self) -> None:
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            self._write_all()

    def _write_all(self) -> None:
        with self._lock:
            unwritten, self._pending = self._pending, {}
        try:
            for plant, machines in list(unwritten.items()):
                self._write(plant, machines)
                del unwritten[plant]
            self._write_flush()
        except redis.RedisError as error:
            if not self._is_redis_down:
                logger.warning("Latest readings are buffered until Redis answers again: %s", error)
            self._is_redis_down = True
            with self._lock:
                for plant, machines in unwritten.items():
                    self._pending[plant] = {**machines, **self._pending.get(plant, {})}
        else:
            if self._is_redis_down:
                logger.info("Redis answers again; latest readings are published.")
            self._is_redis_down = False
        with self._lock:
            if self._is_redis_down or not self._pending:
                self._flushed.set()

    def _write(self, plant: str, machines: Mapping[str, Values]) -> None:
        items = list(machines.items())
        for start in range(0, len(items), BATCH_MACHINES):
            batch = items[start : start + BATCH_MACHINES]
            keys = [plant_key(plant), *(sensor_key(plant, name) for name, _ in batch)]
            arguments: list[Any] = [self._ttl, len(FIELDS), *FIELDS]
            for name, values in batch:
                arguments.append(name)
                arguments += ["" if value is None else value for value in values]
            written = self._script(keys, arguments)
            readings = [_reading_fields(plant, *batch[number - 1]) for number in written]
            if readings:
                self._client.publish(plant_key(plant), msgspec.json.encode(readings))
        last_seen_at = max(values[-1] for values in machines.values())
        self._client.zadd(PLANTS_KEY, {plant: last_seen_at}, gt=True)
        self._client.zremrangebyscore(PLANTS_KEY, "-inf", last_seen_at - self._ttl)

    def _write_flush(self) -> None:
        if flush := self._last_flush:
            self._client.set(LAST_FLUSH_KEY, flush.model_dump_json(), ex=self._ttl)
            self._last_flush = None


def _reading_fields(plant: str, machine: str, values: Values) -> dict[str, Any]:
    return {"plant": plant, "machine": machine, **dict(zip(FIELDS, values, strict=True))}
