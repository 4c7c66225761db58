<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** Everything that the bridge throws. */
interface BridgeException extends \Throwable
{
}
