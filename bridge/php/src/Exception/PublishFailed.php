<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** The broker did not confirm a message. Retry later with the same object; the job stays the same. */
abstract class PublishFailed extends \RuntimeException implements BulkheadException
{
}
