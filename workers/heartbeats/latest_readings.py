"""The latest readings, in Redis, each second: for people who look, while the table is for the record.

It runs in a thread of its own, so a flush does not hold it up. While Redis is away the newest reading of each machine
is kept, and no beat waits.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import redis

from tasks.sensors import LAST_FLUSH_KEY, PLANTS_KEY, LastFlush, plant_key, sensor_key
from workers.heartbeats.machine import Machine

TIMEOUT = 2.0  # seconds for an answer of Redis
BATCH_MACHINES = 500  # machines that one script writes, so that other clients of Redis wait a few milliseconds at most
FIELDS = ("seen_at", "seq", "status", "rpm", "temperature_c", "vibration_mm_s", "received_at")

# Writes hashes with their expiry, in one step, unless the hash is newer already. KEYS: the plant's set, then hashes.
# ARGV: seconds to keep, number of fields, their names, then for each hash the machine's name and the fields' values.
# Forgets in the set who was silent for as long
# as hashes are kept. Answers which hashes were written, counted from 1.
SCRIPT = """
local keep, width = tonumber(ARGV[1]), tonumber(ARGV[2])
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
    redis.call('EXPIRE', KEYS[i], keep)
    redis.call('ZADD', KEYS[1], ARGV[at + 1 + width], ARGV[at + 1])
    written[#written + 1] = i - 1
  end
end
redis.call('EXPIRE', KEYS[1], keep)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[#ARGV] - keep)
return written
"""

logger = logging.getLogger(__name__)

Values = tuple[Any, ...]  # of FIELDS


class LatestReadings(Protocol):
    """Where people look."""

    def publish(self, changes: Mapping[Machine, float]) -> None:
        """Show machines with news, and when these came. Returns at once."""

    def flush(self) -> None:
        """Wait until everything is shown, as long as Redis takes news: what is in the table should be seen, too."""

    def publish_flush(self, last: LastFlush) -> None:
        """Show how the last flush went. Returns at once."""

    def close(self) -> None:
        """Show what is left, if that is possible now."""


class NullLatestReadings:
    """For a plant without Redis: nobody looks."""

    def publish(self, changes: Mapping[Machine, float]) -> None:
        pass

    def flush(self) -> None:
        pass

    def publish_flush(self, last: LastFlush) -> None:
        pass

    def close(self) -> None:
        pass


class RedisLatestReadings:
    """Redis at `url`. A hash is kept for `keep` seconds after its machine was last heard."""

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
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._thread.start()

    def publish(self, changes: Mapping[Machine, float]) -> None:
        news: defaultdict[str, dict[str, Values]] = defaultdict(dict)
        for machine, at in changes.items():
            news[machine.plant][machine.machine] = (
                machine.seen_at,
                machine.seq,
                machine.status,
                machine.rpm,
                machine.temperature_c,
                machine.vibration_mm_s,
                at,
            )
        with self._lock:
            for plant, machines in news.items():
                self._pending.setdefault(plant, {}).update(machines)
            self._flushed.clear()
        self._wake.set()

    def flush(self) -> None:
        self._flushed.wait(TIMEOUT)

    def publish_flush(self, last: LastFlush) -> None:
        self._last_flush = last
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
            news, self._pending = self._pending, {}
        try:
            for plant, machines in list(news.items()):
                self._write(plant, machines)
                del news[plant]
            self._write_flush()
        except redis.RedisError as error:
            if not self._is_redis_down:
                logger.warning("Live readings wait for Redis: %s", error)
            self._is_redis_down = True
            with self._lock:
                for plant, machines in news.items():
                    self._pending[plant] = {**machines, **self._pending.get(plant, {})}
        else:
            if self._is_redis_down:
                logger.info("Live readings go on.")
            self._is_redis_down = False
        with self._lock:
            if self._is_redis_down or not self._pending:
                self._flushed.set()

    def _write(self, plant: str, machines: Mapping[str, Values]) -> None:
        everything = list(machines.items())
        for start in range(0, len(everything), BATCH_MACHINES):
            some = everything[start : start + BATCH_MACHINES]
            keys = [plant_key(plant), *(sensor_key(plant, name) for name, _ in some)]
            arguments: list[Any] = [self._ttl, len(FIELDS), *FIELDS]
            for name, values in some:
                arguments.append(name)
                arguments += ["" if value is None else value for value in values]
            written = self._script(keys, arguments)
            news = [_reading_fields(plant, *some[number - 1]) for number in written]
            if news:
                self._client.publish(plant_key(plant), msgspec.json.encode(news))
        heard = max(values[-1] for values in machines.values())
        self._client.zadd(PLANTS_KEY, {plant: heard}, gt=True)
        self._client.zremrangebyscore(PLANTS_KEY, "-inf", heard - self._ttl)

    def _write_flush(self) -> None:
        if last := self._last_flush:
            self._client.set(LAST_FLUSH_KEY, last.model_dump_json(), ex=self._ttl)
            self._last_flush = None


def _reading_fields(plant: str, machine: str, values: Values) -> dict[str, Any]:
    return {"plant": plant, "machine": machine, **dict(zip(FIELDS, values, strict=True))}
