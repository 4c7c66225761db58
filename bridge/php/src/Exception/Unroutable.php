<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The broker has no queue for the message and returned it. */
final class Unroutable extends PublishFailed
{
    public static function forRoutingKey(string $routingKey, string $reason): self
    {
        $advice = 'Workers declare the queues: start a worker, and check that the URL names the same broker and '
            . 'virtual host as the workers use.';

        return new self("The broker has no queue for '$routingKey' and returned the message. $advice ($reason)");
    }
}
