<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** What was asked for is no valid request: a mistake of the caller, and nothing was sent. */
final class Invalid extends \InvalidArgumentException implements BridgeException
{
}
