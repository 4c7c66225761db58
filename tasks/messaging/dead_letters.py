"""Dead letters: messages that were given up, each with the reason, kept until an operator decides."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kombu import Exchange, Message, Queue

from tasks.messaging.connections import PublisherConnection
from tasks.messaging.publisher import ConfirmedPublisher
from tasks.messaging.topology import DEAD_EXCHANGE, DEAD_QUEUES, EXCHANGE

REASON_HEADER = "x-bulkhead-dead-letter-reason"

# Dead letters of a queue that `bulkhead dead` lists. If there are more, they have a common cause to fix first.
PEEK_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message in `<queue>.dead`."""

    queue: str
    id: str
    task: str
    reason: str
    headers: dict[str, Any]
    body: bytes
    content_type: str
    content_encoding: str
    correlation_id: str


class DeadLetters(ConfirmedPublisher):
    """Adds, lists, replays and deletes dead letters. Every method that uses the broker raises BrokerUnavailable."""

    def has_dead_letter_queue(self, queue: str) -> bool:
        """Whether dead letters of a queue are kept. Those of `maintenance` are not: the next sweep replaces them."""
        return any(dead.routing_key == queue for dead in DEAD_QUEUES)

    def add(self, message: Message, queue: str, reason: str) -> None:
        """Copy a message to `<queue>.dead` with the reason: its body unchanged, and headers of simple types."""
        headers = {key: value for key, value in message.headers.items() if _is_copyable(key, value)}
        correlation_id = message.properties.get("correlation_id", "")
        self._send(message, DEAD_EXCHANGE, queue, {**headers, REASON_HEADER: reason}, correlation_id)

    def peek(self) -> list[DeadLetter]:
        """The dead letters, oldest first, at most PEEK_LIMIT of each queue. They stay in their queues."""
        return [letter for queue in DEAD_QUEUES for letter in self._scan(queue, lambda _letter: False)]

    def delete(self, message_id: str) -> int:
        """Delete the dead letters with this id. Returns how many there were."""
        return self._remove(message_id, lambda _letter: None)

    def replay(self, message_id: str) -> int:
        """Publish the dead letters with this id to their queue again, unchanged. Returns how many there were."""

        def send(letter: DeadLetter) -> None:
            headers = {key: value for key, value in letter.headers.items() if key not in (REASON_HEADER, "x-death")}
            self._send(letter, EXCHANGE, letter.queue, headers, letter.correlation_id)

        return self._remove(message_id, send)

    def _remove(self, message_id: str, use: Callable[[DeadLetter], None]) -> int:
        removed: list[DeadLetter] = []

        def should_remove(letter: DeadLetter) -> bool:
            if letter.id != message_id:
                return False
            use(letter)
            removed.append(letter)
            return True

        for queue in DEAD_QUEUES:
            self._scan(queue, should_remove)
        return len(removed)

    def _scan(self, queue: Queue, should_remove: Callable[[DeadLetter], bool]) -> list[DeadLetter]:
        """Pass every dead letter of a queue to `should_remove`; acknowledge it if true, else put it back."""

        def visit(connection: PublisherConnection, _timeout: float) -> list[DeadLetter]:
            letters: list[DeadLetter] = []
            with connection.connection.channel() as channel:  # closing it puts back what was not acknowledged
                channel.auto_decode = False  # bodies are preserved byte by byte
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
        original: Message | DeadLetter,
        exchange: Exchange,
        routing_key: str,
        headers: Mapping[str, Any],
        correlation_id: str,
    ) -> None:
        self._publish(
            original.body,
            exchange,
            routing_key,
            DEAD_QUEUES,
            headers=dict(headers),
            content_type=original.content_type or "application/octet-stream",
            content_encoding=original.content_encoding or "binary",
            correlation_id=correlation_id,
        )


def _is_copyable(key: object, value: object) -> bool:
    return isinstance(key, str) and (value is None or isinstance(value, str | int | float))


def _broker_reason(deaths: object) -> object:
    """The reason that the broker gave in `x-death`, which a publisher may also have written there."""
    match deaths:
        case [{"reason": reason}, *_]:
            return reason
    return None


def _printable(value: object) -> str:
    """A header's value as text that can be printed and encoded."""
    return "".join(character if character.isprintable() else "?" for character in str(value))


def _to_dead_letter(queue: str, message: Message) -> DeadLetter:
    headers, body = message.headers, message.body or b""  # py-amqp has a string for an empty body
    # A message without an id gets one from its content, so that it can be deleted as well.
    content_id = hashlib.sha256(body).hexdigest()[:16]
    return DeadLetter(
        queue=queue,
        id=_printable(headers.get("id") or message.properties.get("correlation_id") or content_id),
        task=_printable(headers.get("task") or ""),
        reason=_printable(headers.get(REASON_HEADER) or _broker_reason(headers.get("x-death")) or "unknown"),
        headers=headers,
        body=body,
        content_type=message.content_type or "",
        content_encoding=message.content_encoding or "",
        correlation_id=str(message.properties.get("correlation_id") or ""),
    )
