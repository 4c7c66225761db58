<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The HTTP intake said no. `getCode()` is the HTTP status, `$problem` what it said (RFC 9457). */
final class Refused extends \RuntimeException implements BridgeException
{
    /** @param array<string, mixed> $problem */
    public function __construct(int $status, public readonly array $problem)
    {
        $detail = is_string($problem['detail'] ?? null) ? $problem['detail'] : "It answered $status.";
        parent::__construct("The intake refused the request: $detail", $status);
    }
}
