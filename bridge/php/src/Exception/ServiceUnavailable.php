<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The HTTP intake, Redis or the store did not answer as it should. */
final class ServiceUnavailable extends \RuntimeException implements BridgeException
{
}
