"""Dead letters: messages that no worker may take, each with its reason, kept until an operator decides."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import Celery
from kombu import Message, Queue

from tasks.messaging.connections import ConnectionPool, PublisherConnection
from tasks.messaging.topology import DEAD_EXCHANGE, DEAD_QUEUES, EXCHANGE

REASON_HEADER = "x-bulkhead-reason"

# What `bulkhead dead` looks at in one go. A dead-letter queue that is longer has a common cause worth mending first.
PEEK_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class DeadLetter:
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
        self._pool = ConnectionPool(app, timeout)

    def has_dead_letter_queue(self, queue: str) -> bool:
        """Whether a queue's dead letters are kept. Those of sweeps are not: the next sweep does their work."""
        return any(dead.routing_key == queue for dead in DEAD_QUEUES)

    def add(self, message: Message, queue: str, reason: str) -> None:
        """Put a copy of a message into `<queue>.dead` with the reason: its body as it came, and its simple headers."""
        headers = {key: value for key, value in message.headers.items() if _is_copyable(key, value)}
        self._send(
            message.body, DEAD_EXCHANGE.name, queue, {**headers, REASON_HEADER: reason}, message.properties, message
        )

    def peek(self) -> list[DeadLetter]:
        """The letters, oldest first, up to PEEK_LIMIT a queue. They stay where they are."""
        return [letter for queue in DEAD_QUEUES for letter in self._scan(queue, lambda _letter: False)]

    def delete(self, message_id: str) -> int:
        """Delete the letters with this id; answers how many."""
        return self._remove(message_id, lambda _letter: None)

    def replay(self, message_id: str) -> int:
        """Send the letters with this id to their queue again, as they were; answers how many."""

        def send(letter: DeadLetter) -> None:
            headers = {key: value for key, value in letter.headers.items() if key not in (REASON_HEADER, "x-death")}
            properties = {"correlation_id": letter.correlation_id}
            self._send(letter.body, EXCHANGE.name, letter.queue, headers, properties, letter)

        return self._remove(message_id, send)

    def close(self) -> None:
        """Close every idle connection."""
        self._pool.close()

    def _remove(self, letter_id: str, use: Callable[[DeadLetter], None]) -> int:
        taken: list[DeadLetter] = []

        def wanted(letter: DeadLetter) -> bool:
            if letter.id != letter_id:
                return False
            use(letter)
            taken.append(letter)
            return True

        for queue in DEAD_QUEUES:
            self._scan(queue, wanted)
        return len(taken)

    def _scan(self, queue: Queue, should_remove: Callable[[DeadLetter], bool]) -> list[DeadLetter]:
        """Show every letter of the queue to `remove`, acknowledge those it wants gone, and put the others back."""

        def visit(line: PublisherConnection, _timeout: float) -> list[DeadLetter]:
            letters: list[DeadLetter] = []
            with line.connection.channel() as channel:  # closing it puts back what was not acknowledged
                channel.auto_decode = False  # bodies are kept byte by byte
                bound = queue(channel)
                bound.declare()
                while len(letters) < PEEK_LIMIT and (message := bound.get(no_ack=False)):
                    letter = _to_dead_letter(queue.routing_key, message)
                    letters.append(letter)
                    if should_remove(letter):
                        message.ack()
            return letters

        return self._pool.run(visit)

    def _send(
        self,
        body: bytes | str,
        exchange: str,
        routing_key: str,
        headers: dict[str, Any],
        properties: dict[str, Any],
        template: Message | DeadLetter,
    ) -> None:
        def send(line: PublisherConnection, timeout: float) -> None:
            line.producer.publish(
                body,
                exchange=exchange,
                routing_key=routing_key,
                declare=DEAD_QUEUES,
                headers=headers,
                content_type=template.content_type or "application/octet-stream",
                content_encoding=template.content_encoding or "binary",
                correlation_id=properties.get("correlation_id", ""),
                delivery_mode="persistent",
                mandatory=True,
                timeout=timeout,
                confirm_timeout=timeout,
            )

        self._pool.run(send)


def _is_copyable(key: object, value: object) -> bool:
    return isinstance(key, str) and (value is None or isinstance(value, str | int | float))


def _broker_reason(deaths: object) -> object:
    """Why the broker gave a message up; its own list of deaths, or whatever a publisher wrote in its place."""
    match deaths:
        case [{"reason": reason}, *_]:
            return reason
    return None


def _printable(value: object) -> str:
    """A value as text that can be printed and encoded, whatever a publisher put there."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))


def _to_dead_letter(queue: str, message: Message) -> DeadLetter:
    headers, body = message.headers, message.body or b""  # py-amqp has a string for no body at all
    # A message that names nobody is known by what it holds, so that it can be dropped, too.
    nameless = hashlib.sha256(body).hexdigest()[:16]
    return DeadLetter(
        queue=queue,
        id=_printable(headers.get("id") or message.properties.get("correlation_id") or nameless),
        task=_printable(headers.get("task") or ""),
        reason=_printable(headers.get(REASON_HEADER) or _broker_reason(headers.get("x-death")) or "unknown"),
        headers=headers,
        body=body,
        content_type=message.content_type or "",
        content_encoding=message.content_encoding or "",
        correlation_id=str(message.properties.get("correlation_id") or ""),
    )
