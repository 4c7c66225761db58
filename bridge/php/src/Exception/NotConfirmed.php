<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The message was sent, but the broker did not confirm it: it may or may not have been taken. */
final class NotConfirmed extends NotPublished
{
    public static function because(string $reason, ?\Throwable $previous = null): self
    {
        $advice = 'Send the same object again: it keeps its id, so it is never done twice.';

        return new self("The broker did not confirm the message in time; it may have it. $advice ($reason)", 0, $previous);
    }
}
