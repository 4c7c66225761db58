"""Ten thousand hostile messages: each is executed or dead-lettered with a reason, and the worker survives."""

import json
import random
import struct
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from amqp.basic_message import Message
from kombu import Connection

from tasks import renders
from tasks.jobs import State
from tasks.messaging.topology import EXCHANGE, RENDER
from tests.integration.jobs.renders import TENANT, Renders, eventually
from tests.services.platform import Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(900)]

COUNT = 10_000
SEED = 20_260_214

# Seconds for the last dead letters: RabbitMQ publishes a dead letter again after three minutes without its own confirm
# (`dead_letter_worker_publisher_confirm_timeout`). At most as many as it prefetches may therefore occur twice
# (`dead_letter_worker_consumer_prefetch`).
DEAD_LETTER_TIMEOUT = 240
MAX_DUPLICATES = 32

# One in this number of messages is a valid job.
VALID_EVERY = 500

# Property flags of AMQP 0-9-1: content type, content encoding, headers, correlation id, timestamp.
CONTENT_TYPE, CONTENT_ENCODING, HEADERS, CORRELATION_ID, TIMESTAMP = (1 << bit for bit in (15, 14, 13, 10, 6))

JSON: dict[str, Any] = {"content_type": "application/json", "content_encoding": "utf-8"}

FuzzedMessage = tuple[bytes, dict[str, Any] | bytes]


class Fuzz:
    """Generates bodies and properties; the same seed generates the same ones."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.makers: list[Callable[[], FuzzedMessage]] = [
            self.random_bytes,
            self.truncated,
            self.wrong_shape,
            self.wrong_content_type,
            self.deep_nesting,
            self.typed_objects,
            self.odd_numbers,
            self.protocol_one,
            self.odd_headers,
            self.compressed,
            self.chained,
            self.other_tasks,
            self.mutated,
            self.raw_properties,
            self.odd_encoding,
            self.too_long,
        ]

    def next(self) -> FuzzedMessage:
        return self.chance.choice(self.makers)()

    def job(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def fields(self, job: str) -> dict[str, Any]:
        return {"job": job, "tenant": TENANT, "source": f"sources/{TENANT}/{job}"}

    def valid(self) -> tuple[dict[str, Any], list[Any]]:
        """Headers and body of a valid message."""
        job = self.job()
        return {"task": renders.TASK, "id": job}, [[], self.fields(job), {}]

    def message(self, headers: dict[str, Any], body: Any, **properties: Any) -> FuzzedMessage:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        return encoded, {"application_headers": headers, **JSON, **properties}

    def junk(self, depth: int = 0) -> Any:
        """Any JSON value."""
        simple: list[Any] = [None, True, -1, 0, 2**70, 1e308, "", "x" * 300, "\u0000", "💥", "../../etc/passwd", [], {}]
        if depth > 2 or self.chance.random() < 0.6:
            return self.chance.choice(simple)
        if self.chance.random() < 0.5:
            return [self.junk(depth + 1) for _ in range(self.chance.randrange(4))]
        return {self.chance.choice("abcde"): self.junk(depth + 1) for _ in range(self.chance.randrange(4))}

    def random_bytes(self) -> FuzzedMessage:
        headers, _body = self.valid()
        return self.message(headers, self.chance.randbytes(self.chance.randrange(400)))

    def truncated(self) -> FuzzedMessage:
        headers, body = self.valid()
        text = json.dumps(body).encode()
        return self.message(headers, text[: self.chance.randrange(len(text))])

    def wrong_shape(self) -> FuzzedMessage:
        headers, body = self.valid()
        wrong = [
            body[:2],
            body[1],
            [*body, {}],
            [body[0], [], {}],
            [[1], body[1], {}],
            [[], [body[1]], {}],
            self.junk(),
        ]
        return self.message(headers, self.chance.choice(wrong))

    def wrong_content_type(self) -> FuzzedMessage:
        headers, body = self.valid()
        kinds = [
            "application/x-python-serialize",
            "application/data",
            "text/plain",
            "",
            "application/x-yaml",
            "x" * 255,
        ]
        return self.message(headers, body, content_type=self.chance.choice(kinds))

    def deep_nesting(self) -> FuzzedMessage:
        headers, _body = self.valid()
        depth = self.chance.choice([100, 1_000, 30_000])
        return self.message(headers, b"[" * depth + b"]" * depth)

    def typed_objects(self) -> FuzzedMessage:
        headers, body = self.valid()
        kind = self.chance.choice(["datetime", "Decimal", "uuid", "bytes", "base64", "nothing"])
        body[1]["filename"] = {"__type__": kind, "__value__": self.junk()}
        return self.message(headers, body)

    def odd_numbers(self) -> FuzzedMessage:
        headers, body = self.valid()
        number = self.chance.choice(["NaN", "-Infinity", "1e999", "9" * 4000, "-0", "16.0", "1e3", "0x10", "true"])
        body[1]["options"] = {"width": "NUMBER"}
        return self.message(headers, json.dumps(body).replace('"NUMBER"', number).encode())

    def protocol_one(self) -> FuzzedMessage:
        headers, body = self.valid()
        old = {"task": renders.TASK, "id": headers["id"], "args": [], "kwargs": body[1], "retries": 0}
        return self.message(self.chance.choice([{}, headers]), old)

    def odd_headers(self) -> FuzzedMessage:
        headers, body = self.valid()
        name = self.chance.choice(
            ["task", "id", "retries", "timelimit", "expires", "eta", "group", "stamps", "root_id", "ignore_result"]
        )
        if self.chance.random() < 0.3:
            name = self.chance.choice(["task", "id"])
            del headers[name]
        else:
            headers[name] = self.chance.choice(
                [2**62, "\ud800", "", "x" * 5000, [1, [2, {"a": None}]], {"a": {"b": [1]}}, -1, 0.5, "2020-01-01T00:00"]
            )
        return self.message(headers, body)

    def compressed(self) -> FuzzedMessage:
        headers, body = self.valid()
        kind = self.chance.choice(["application/x-gzip", "bzip2", "zstd", "nothing", ""])
        return self.message({**headers, "compression": kind}, body)

    def chained(self) -> FuzzedMessage:
        headers, body = self.valid()
        name = self.chance.choice(["callbacks", "errbacks", "chain", "chord"])
        more = [{"task": renders.TASK, "args": [], "kwargs": body[1], "options": {}, "subtask_type": None}]
        if self.chance.random() < 0.5:
            return self.message({**headers, name: more}, body)
        return self.message(headers, [body[0], body[1], {name: more}])

    def other_tasks(self) -> FuzzedMessage:
        headers, body = self.valid()
        name = self.chance.choice(
            ["maintenance.sweep", "celery.backend_cleanup", "render.", "", "os.system", "render." * 500]
        )
        return self.message({**headers, "task": name}, body)

    def mutated(self) -> FuzzedMessage:
        headers, body = self.valid()
        name = self.chance.choice(["job", "tenant", "source", "filename", "options", "traceparent", "version", "more"])
        body[1][name] = self.chance.choice(
            [{"deep": self.junk()}, [self.junk()], 2**80, "", "A" * 256, "sources/rival/x", "sources/acme/../x", -1]
        )
        if name == "filename" and isinstance(body[1][name], str) and len(body[1][name]) <= renders.MAX_FILENAME:
            body[1][name] = None
        return self.message(headers, body)

    def raw_properties(self) -> FuzzedMessage:
        """Raw property lists, as a faulty C client might send them."""
        odd = self.chance.choice([b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b"caf\xe9"])
        short = bytes([len(odd)]) + odd
        values = [
            b"T" + struct.pack(">Q", self.chance.choice([2**63, 2**40, 10**12])),
            b"S" + struct.pack(">I", len(odd)) + odd,
            b"D" + bytes([255]) + struct.pack(">I", 5),
            b"x" + struct.pack(">I", len(odd)) + odd,
        ]
        table = self.chance.choice([b"\x02id", b"\x04task", short]) + self.chance.choice(values)
        headers = struct.pack(">I", len(table)) + table
        flags, rest = self.chance.choice(
            [
                (CONTENT_TYPE, short),
                (CONTENT_TYPE | CONTENT_ENCODING, b"\x10application/json" + short),
                (CORRELATION_ID, short),
                (TIMESTAMP, struct.pack(">Q", 2**64 - 1)),
                (HEADERS, headers),
            ]
        )
        return json.dumps(self.valid()[1]).encode(), struct.pack(">H", flags) + rest

    def odd_encoding(self) -> FuzzedMessage:
        headers, body = self.valid()
        kinds = ["unicode_escape", "utf-16", "rot13", "zlib", "idna", "latin-1", "binary", "", "utf-7", "x" * 200]
        content = self.chance.choice([b"\\ud800", b"+2AA-", json.dumps(body).encode()])
        return self.message(headers, content, content_encoding=self.chance.choice(kinds))

    def too_long(self) -> FuzzedMessage:
        headers, body = self.valid()
        body[1]["filename"] = "x" * 70_000
        return self.message(headers, body)


class RawMessage(Message):
    """A message with raw properties."""

    def __init__(self, body: bytes, properties: bytes) -> None:
        super().__init__(body)
        self._raw = properties

    def _serialize_properties(self) -> bytes:
        return self._raw


def publish_all(platform: Platform, messages: Iterator[FuzzedMessage]) -> None:
    """Publish through one channel, and wait until every message is confirmed.

    A busy broker still holds the last messages in the memory of the channel, and loses them with the channel.
    """
    unconfirmed: set[int] = set()

    def on_ack(tag: int, multiple: bool) -> None:
        unconfirmed.difference_update({each for each in unconfirmed if each <= tag} if multiple else {tag})

    with Connection(platform.broker_url) as connection:
        channel = connection.channel()
        channel.confirm_select()
        channel.events["basic_ack"].add(on_ack)
        for tag, (body, properties) in enumerate(messages, 1):
            message = RawMessage(body, properties) if isinstance(properties, bytes) else Message(body, **properties)
            channel.basic_publish(message, exchange=EXCHANGE.name, routing_key=RENDER)
            unconfirmed.add(tag)
        while unconfirmed:
            connection.drain_events(timeout=60)


def waiting_in(platform: Platform, queue: str) -> int:
    with Connection(platform.broker_url) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).message_count)


def test_given_ten_thousand_hostile_messages_then_each_is_executed_or_dead_lettered_and_the_worker_survives(
    platform: Platform, sent: Renders
) -> None:
    worker = platform.start_worker()
    fuzz = Fuzz(SEED)
    valid_jobs: list[str] = []

    def messages() -> Iterator[FuzzedMessage]:
        drawing = sent.make()
        for number in range(COUNT):
            if number % VALID_EVERY:
                yield fuzz.next()
            else:
                job = fuzz.job()
                valid_jobs.append(job)
                fields = {**fuzz.fields(job), "source": drawing.source, "options": {"width": 64}}
                yield fuzz.message({"task": renders.TASK, "id": job}, [[], fields, {}])

    publish_all(platform, messages())
    jobs = [sent.finished(job, timeout=500) for job in valid_jobs]
    eventually(lambda: waiting_in(platform, RENDER) == 0, timeout=500)
    eventually(
        lambda: waiting_in(platform, "render.dead") + executed(sent) in range(COUNT, COUNT + MAX_DUPLICATES + 1),
        timeout=DEAD_LETTER_TIMEOUT,
    )

    assert {job.state for job in jobs} == {State.SUCCEEDED}
    assert worker.describe_exit() is None
    assert sent.finished(sent.submit()).state is State.SUCCEEDED
    reasons = Counter(letter.reason for letter in sent.letters.peek())
    assert "unknown" not in reasons
    assert "rejected" not in reasons
    log = (platform.directory / "log" / "render1.log").read_text()
    assert log.count("Rejected a message") + executed(sent) == COUNT + 1  # each once, plus the last render
    assert "Connection to broker lost" not in log
    assert "Traceback" not in log


def executed(sent: Renders) -> int:
    """Messages that were executed: each created a job."""
    return sum(sent.ledger.jobs.count_by_state().values())
