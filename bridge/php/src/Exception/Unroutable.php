<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The broker has no queue for the message, and gave it back. */
final class Unroutable extends NotPublished
{
    public static function to(string $routingKey, string $reason): self
    {
        $advice = 'Workers make the queues: start them once, and check that the URL names the same broker and '
            . 'virtual host as theirs.';

        return new self("No queue of the broker takes '$routingKey': the message was given back. $advice ($reason)");
    }
}
