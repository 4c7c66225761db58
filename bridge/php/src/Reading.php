<?php

declare(strict_types=1);

namespace Bulkhead;

/** The latest that is known of a machine. Times are seconds since 1970. */
final class Reading
{
    /**
     * @param float $seenAt when, by the machine's clock
     * @param float $receivedAt when the platform took it
     */
    public function __construct(
        public readonly string $machine,
        public readonly int $seq,
        public readonly float $seenAt,
        public readonly float $receivedAt,
        public readonly string $status,
        public readonly ?float $rpm = null,
        public readonly ?float $temperature = null,
        public readonly ?float $vibration = null,
    ) {
    }
}
