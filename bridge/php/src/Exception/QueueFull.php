<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The queue rejected the message. */
final class QueueFull extends PublishFailed
{
    public static function forRoutingKey(string $routingKey): self
    {
        return new self(
            "The queue '$routingKey' rejected the message: it is full, or not yet available after a restart. "
            . 'Submit the same object again later.'
        );
    }
}
