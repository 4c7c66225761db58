<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** A webhook was not sent by Bulkhead, or it is too old. Respond with 401 and ignore it. */
final class WebhookVerificationFailed extends \RuntimeException implements BulkheadException
{
}
