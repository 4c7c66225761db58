<?php

declare(strict_types=1);

namespace Bulkhead\Exception;

/** A webhook that did not come from Bulkhead, or came too late. Answer 401 and do nothing else. */
final class ForgedWebhook extends \RuntimeException implements BridgeException
{
}
