<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The request is invalid; nothing was sent. */
final class InvalidRequest extends \InvalidArgumentException implements BulkheadException
{
}
