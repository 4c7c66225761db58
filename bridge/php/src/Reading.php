<?php

declare(strict_types=1);

namespace Bulkhead;

/** The latest reading of a machine. Times are seconds since 1970. */
final class Reading
{
    /**
     * @param float $seenAt time by the machine's clock
     * @param float $receivedAt time at which the platform received it
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
