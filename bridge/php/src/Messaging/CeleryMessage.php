<?php

declare(strict_types=1);

namespace Bulkhead\Messaging;

use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

/**
 * A message of Celery's protocol 2, identical to the one that Celery writes; the test vectors in `tests/vectors` check
 * this field by field. `docs/reference/messages.md` is the contract.
 */
final class CeleryMessage
{
    /** Maximum length of `kwargsrepr`, which dashboards show; the same limit as Celery's. */
    private const MAX_REPR = 1024;

    /** No callbacks, chains or chords: a message runs its own task only. */
    private const EMBED = '{"callbacks":null,"errbacks":null,"chain":null,"chord":null}';

    /** @param string $arguments the task's keyword arguments, a JSON object */
    public function __construct(
        public readonly string $task,
        public readonly string $id,
        public readonly string $arguments,
    ) {
    }

    public function body(): string
    {
        return "[[],$this->arguments," . self::EMBED . ']';
    }

    /** @return array<string, mixed> */
    public function headers(): array
    {
        return [
            'lang' => 'php',
            'task' => $this->task,
            'id' => $this->id,
            'shadow' => null,
            'eta' => null,
            'expires' => null,
            'group' => null,
            'group_index' => null,
            'retries' => 0,
            'timelimit' => [null, null],
            'root_id' => $this->id,
            'parent_id' => null,
            'argsrepr' => '()',
            'kwargsrepr' => mb_substr($this->arguments, 0, self::MAX_REPR, 'UTF-8'),
            'origin' => getmypid() . '@' . gethostname(),
            'ignore_result' => true,
            'replaced_task_nesting' => 0,
            'stamped_headers' => null,
            'stamps' => [],
        ];
    }

    /** @return array<string, string|int> */
    public function properties(): array
    {
        return [
            'correlation_id' => $this->id,
            'content_type' => 'application/json',
            'content_encoding' => 'utf-8',
            'delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT,
            'priority' => 0,
        ];
    }

    public function toAmqp(): AMQPMessage
    {
        // php-amqplib encodes an empty array as a list, but `stamps` is a map.
        $headers = ['stamps' => new AMQPTable([])] + $this->headers();

        return new AMQPMessage($this->body(), $this->properties() + ['application_headers' => new AMQPTable($headers)]);
    }
}
