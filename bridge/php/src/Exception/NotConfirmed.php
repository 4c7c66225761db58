<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The message was sent but not confirmed: the broker may or may not have it. */
final class NotConfirmed extends PublishFailed
{
    public static function withReason(string $reason, ?\Throwable $previous = null): self
    {
        $advice = 'Submit the same object again: its id is unchanged, so the job runs only once.';

        return new self("The broker did not confirm the message in time and may have it. $advice ($reason)", 0, $previous);
    }
}
