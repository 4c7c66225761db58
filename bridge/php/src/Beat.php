<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\InvalidRequest;

/** A heartbeat of a machine, with its readings if it has any. The bounds are those of `docs/reference/schemas/heartbeats.json`. */
final class Beat
{
    public const STATUSES = ['running', 'idle', 'stopped', 'fault', 'service'];

    public const MACHINE = '/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/D';

    private const MAX_SEQ = 2 ** 53 - 1;
    private const MAX_TIMESTAMP = 1e11;
    private const MAX_READING = 1e9;

    /**
     * @param string $machine the machine's name in its plant
     * @param int $seq sequence number of the beat, which the machine increments with every beat
     * @param float $seenAt seconds since 1970 by the machine's clock
     * @param string $status one of STATUSES
     * @param float|null $rpm revolutions a minute
     * @param float|null $temperature degrees Celsius
     * @param float|null $vibration velocity, RMS, in millimetres a second
     * @throws InvalidRequest
     */
    public function __construct(
        public readonly string $machine,
        public readonly int $seq,
        public readonly float $seenAt,
        public readonly string $status,
        public readonly ?float $rpm = null,
        public readonly ?float $temperature = null,
        public readonly ?float $vibration = null,
    ) {
        $violation = match (true) {
            preg_match(self::MACHINE, $machine) !== 1 => 'machine must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}',
            $seq < 0 || $seq > self::MAX_SEQ => 'seq must be from 0 to 2^53 - 1',
            !($seenAt >= 0 && $seenAt <= self::MAX_TIMESTAMP) => 'seenAt must be seconds since 1970, not milliseconds',
            !in_array($status, self::STATUSES, true) => 'status must be one of ' . implode(', ', self::STATUSES),
            default => null,
        };
        foreach (['rpm' => $rpm, 'temperature' => $temperature, 'vibration' => $vibration] as $name => $value) {
            if ($value !== null && !(abs($value) <= self::MAX_READING)) {
                $violation ??= "$name must be a number from -1e9 to 1e9";
            }
        }
        if ($violation !== null) {
            throw new InvalidRequest("Invalid beat: $violation.");
        }
    }

    /** @return array<string, int|float|string> fields of the message */
    public function toArray(): array
    {
        $fields = [
            'machine' => $this->machine,
            'seq' => $this->seq,
            'seen_at' => $this->seenAt,
            'status' => $this->status,
            'rpm' => $this->rpm,
            'temperature_c' => $this->temperature,
            'vibration_mm_s' => $this->vibration,
        ];

        return array_filter($fields, static fn (mixed $value): bool => $value !== null);
    }
}
