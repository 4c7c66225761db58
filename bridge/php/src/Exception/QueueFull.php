<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The queue did not take the message. */
final class QueueFull extends NotPublished
{
    public static function of(string $routingKey): self
    {
        return new self(
            "The queue '$routingKey' refused the message: it is full, or not up yet after a restart. "
            . 'Send the same object again later.'
        );
    }
}
