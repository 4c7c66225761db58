"""Dead letters: messages that no worker may take, each with its reason, kept until an operator decides."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import Celery
from kombu import Message, Queue

from tasks.broker import Line, Lines
from tasks.topology import DEAD_EXCHANGE, DEAD_QUEUES, EXCHANGE

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
        """Put a copy of a message, as it came, into `<queue>.dead` with the reason."""
        headers = dict(message.headers) if isinstance(message.headers, dict) else {}
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


def _letter(queue: str, message: Message) -> Letter:
    headers = message.headers if isinstance(message.headers, dict) else {}
    deaths = headers.get("x-death") or [{}]
    body = message.body
    return Letter(
        queue=queue,
        id=str(headers.get("id") or message.properties.get("correlation_id") or ""),
        task=str(headers.get("task") or ""),
        reason=str(headers.get(REASON) or deaths[0].get("reason") or "unknown"),
        headers=headers,
        body=body.encode() if isinstance(body, str) else bytes(body),
        content_type=message.content_type or "",
        content_encoding=message.content_encoding or "",
        correlation_id=str(message.properties.get("correlation_id") or ""),
    )
