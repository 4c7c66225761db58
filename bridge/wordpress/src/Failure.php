<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\Exception\BridgeException;
use Bulkhead\Exception\Invalid;
use Bulkhead\Exception\Refused;

/** What a person is told when a drawing could not be handed over. */
final class Failure
{
    private const LATER = [429, 503, 507];

    /**
     * A sentence that says what to do.
     *
     * @param bool $operator whether to tell the reason as well, which names addresses and folders
     */
    public static function sentence(BridgeException $error, bool $operator): string
    {
        if ($error instanceof Invalid) {
            return $error->getMessage();
        }
        if ($error instanceof Refused && !in_array($error->getCode(), [401, ...self::LATER], true)) {
            return is_string($error->problem['detail'] ?? null) ? $error->problem['detail'] : $error->getMessage();
        }
        if ($operator) {
            return 'The drawing was not accepted. ' . $error->getMessage();
        }

        return 'The drawing was not accepted, because the service that draws is busy or away. Keep your file and send it '
            . 'again in a minute; if this goes on, tell who looks after this site: the reason is in its log.';
    }
}
