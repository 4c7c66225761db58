<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The broker is unreachable; nothing was published. */
final class BrokerUnavailable extends PublishFailed
{
    public static function withReason(string $reason, ?\Throwable $previous = null): self
    {
        $advice = 'Check its URL and that RabbitMQ is running (`bulkhead doctor`), then submit the same object again.';

        return new self("The broker is unreachable; nothing was published. $advice ($reason)", 0, $previous);
    }
}
