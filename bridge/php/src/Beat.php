<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\Invalid;

/** One sign of life of a machine, and what it measured, if anything. The bounds are those of `docs/reference/schemas/heartbeats.json`. */
final class Beat
{
    public const STATUSES = ['running', 'idle', 'stopped', 'fault', 'service'];

    public const MACHINE = '/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/D';

    private const MAX_SEQ = 2 ** 53 - 1;
    private const LATEST = 1e11;
    private const MOST = 1e9;

    /**
     * @param string $machine the machine's name in its plant
     * @param int $seq number of the beat: the machine's own, one more with every beat
     * @param float $seenAt when, in seconds since 1970, by the machine's clock
     * @param string $status one of STATUSES
     * @param float|null $rpm revolutions a minute
     * @param float|null $temperature degrees Celsius
     * @param float|null $vibration velocity, RMS, in millimetres a second
     * @throws Invalid
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
        $wrong = match (true) {
            preg_match(self::MACHINE, $machine) !== 1 => 'machine must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}',
            $seq < 0 || $seq > self::MAX_SEQ => 'seq must be from 0 to 2^53 - 1',
            !($seenAt >= 0 && $seenAt <= self::LATEST) => 'seenAt must be seconds since 1970, not milliseconds',
            !in_array($status, self::STATUSES, true) => 'status must be one of ' . implode(', ', self::STATUSES),
            default => null,
        };
        foreach (['rpm' => $rpm, 'temperature' => $temperature, 'vibration' => $vibration] as $name => $value) {
            if ($value !== null && !(abs($value) <= self::MOST)) {
                $wrong ??= "$name must be a number of at most 1e9";
            }
        }
        if ($wrong !== null) {
            throw new Invalid("A beat's $wrong.");
        }
    }

    /** @return array<string, int|float|string> as in the message */
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
