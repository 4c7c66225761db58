<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The broker could not be reached, so nothing was sent. */
final class BrokerUnavailable extends NotPublished
{
    public static function because(string $reason, ?\Throwable $previous = null): self
    {
        $advice = 'Check its URL and whether RabbitMQ runs (`bulkhead doctor`), then send the same object again.';

        return new self("The broker cannot be reached: nothing was sent. $advice ($reason)", 0, $previous);
    }
}
