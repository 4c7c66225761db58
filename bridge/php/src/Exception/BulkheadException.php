<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** Implemented by every exception of this library. */
interface BulkheadException extends \Throwable
{
}
