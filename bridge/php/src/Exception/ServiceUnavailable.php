<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The HTTP API, Redis or the store is unavailable. */
final class ServiceUnavailable extends \RuntimeException implements BulkheadException
{
}
