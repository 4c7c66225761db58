<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The HTTP API rejected the request. `getCode()` is the HTTP status, `$problem` the problem details (RFC 9457). */
final class RequestRejected extends \RuntimeException implements BulkheadException
{
    /** @param array<string, mixed> $problem */
    public function __construct(int $status, public readonly array $problem)
    {
        $detail = is_string($problem['detail'] ?? null) ? $problem['detail'] : "HTTP status $status.";
        parent::__construct("The Bulkhead API rejected the request: $detail", $status);
    }
}
