"""Dead letters: messages that no worker may take, each with its reason, kept until an operator decides."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import Celery
from kombu import Message, Queue

from tasks.messaging.connections import Line, Lines
from tasks.messaging.topology import DEAD_EXCHANGE, DEAD_QUEUES, EXCHANGE

REASON = "x-bulkhead-reason"

# What `bulkhead dead` looks at in one go. A dead-letter queue that is longer has a common cause worth mending first.
PEEK_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it lies in `<queue>.dead`."""

    queue: str
    id: str
    task: str
    reason: str
    headers: dict[str, Any]
    body: bytes
    content_type: str
    content_encoding: str
    correlation_id: str


class DeadLetters:
    """Burying, listing, replaying and dropping dead letters. Every method raises BrokerUnavailable.

    `timeout` is the number of seconds a call may take.
    """

    def __init__(self, app: Celery, timeout: float) -> None:
        self._lines = Lines(app, timeout)

    def takes(self, queue: str) -> bool:
        """Whether a queue's dead letters are kept. Those of sweeps are not: the next sweep does their work."""
        return any(dead.routing_key == queue for dead in DEAD_QUEUES)

    def bury(self, message: Message, queue: str, reason: str) -> None:
        """Put a copy of a message into `<queue>.dead` with the reason: its body as it came, and its simple headers."""
        headers = {key: value for key, value in message.headers.items() if _is_simple(key, value)}
        self._send(message.body, DEAD_EXCHANGE.name, queue, {**headers, REASON: reason}, message.properties, message)

    def peek(self) -> list[Letter]:
        """The letters, oldest first, up to PEEK_LIMIT a queue. They stay where they are."""
        return [letter for queue in DEAD_QUEUES for letter in self._visit(queue, lambda _letter: False)]

    def drop(self, letter_id: str) -> int:
        """Delete the letters with this id; answers how many."""
        return self._take(letter_id, lambda _letter: None)

    def replay(self, letter_id: str) -> int:
        """Send the letters with this id to their queue again, as they were; answers how many."""

        def send(letter: Letter) -> None:
            headers = {key: value for key, value in letter.headers.items() if key not in (REASON, "x-death")}
            properties = {"correlation_id": letter.correlation_id}
            self._send(letter.body, EXCHANGE.name, letter.queue, headers, properties, letter)

        return self._take(letter_id, send)

    def close(self) -> None:
        """Close every idle connection."""
        self._lines.close()

    def _take(self, letter_id: str, use: Callable[[Letter], None]) -> int:
        taken: list[Letter] = []

        def wanted(letter: Letter) -> bool:
            if letter.id != letter_id:
                return False
            use(letter)
            taken.append(letter)
            return True

        for queue in DEAD_QUEUES:
            self._visit(queue, wanted)
        return len(taken)

    def _visit(self, queue: Queue, remove: Callable[[Letter], bool]) -> list[Letter]:
        """Show every letter of the queue to `remove`, acknowledge those it wants gone, and put the others back."""

        def visit(line: Line, _timeout: float) -> list[Letter]:
            letters: list[Letter] = []
            with line.connection.channel() as channel:  # closing it puts back what was not acknowledged
                channel.auto_decode = False  # bodies are kept byte by byte
                bound = queue(channel)
                bound.declare()
                while len(letters) < PEEK_LIMIT and (message := bound.get(no_ack=False)):
                    letter = _letter(queue.routing_key, message)
                    letters.append(letter)
                    if remove(letter):
                        message.ack()
            return letters

        return self._lines.run(visit)

    def _send(
        self,
        body: bytes | str,
        exchange: str,
        routing_key: str,
        headers: dict[str, Any],
        properties: dict[str, Any],
        kind: Message | Letter,
    ) -> None:
        def send(line: Line, timeout: float) -> None:
            line.producer.publish(
                body,
                exchange=exchange,
                routing_key=routing_key,
                declare=DEAD_QUEUES,
                headers=headers,
                content_type=kind.content_type or "application/octet-stream",
                content_encoding=kind.content_encoding or "binary",
                correlation_id=properties.get("correlation_id", ""),
                delivery_mode="persistent",
                mandatory=True,
                timeout=timeout,
                confirm_timeout=timeout,
            )

        self._lines.run(send)


def _is_simple(key: object, value: object) -> bool:
    return isinstance(key, str) and (value is None or isinstance(value, str | int | float))


def _broker_reason(deaths: object) -> object:
    """Why the broker gave a message up; its own list of deaths, or whatever a publisher wrote in its place."""
    match deaths:
        case [{"reason": reason}, *_]:
            return reason
    return None


def _text(value: object) -> str:
    """A value as text that can be printed and encoded, whatever a publisher put there."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))


def _letter(queue: str, message: Message) -> Letter:
    headers, body = message.headers, message.body or b""  # py-amqp has a string for no body at all
    # A message that names nobody is known by what it holds, so that it can be dropped, too.
    nameless = hashlib.sha256(body).hexdigest()[:16]
    return Letter(
        queue=queue,
        id=_text(headers.get("id") or message.properties.get("correlation_id") or nameless),
        task=_text(headers.get("task") or ""),
        reason=_text(headers.get(REASON) or _broker_reason(headers.get("x-death")) or "unknown"),
        headers=headers,
        body=body,
        content_type=message.content_type or "",
        content_encoding=message.content_encoding or "",
        correlation_id=str(message.properties.get("correlation_id") or ""),
    )
