<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The broker did not confirm a message. After a pause the same object may be sent again: it is the same job. */
abstract class NotPublished extends \RuntimeException implements BridgeException
{
}
