<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Upload;

use Bulkhead\Exception\BulkheadException;
use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Exception\RequestRejected;

/** Error messages for drawings that could not be submitted. */
final class UploadError
{
    private const TEMPORARY = [429, 503, 507];

    /**
     * Returns a message that says what to do.
     *
     * @param bool $isAdministrator whether to include the reason, which reveals addresses and folders
     */
    public static function message(BulkheadException $error, bool $isAdministrator): string
    {
        if ($error instanceof InvalidRequest) {
            return $error->getMessage();
        }
        if ($error instanceof RequestRejected && !in_array($error->getCode(), [401, ...self::TEMPORARY], true)) {
            return is_string($error->problem['detail'] ?? null) ? $error->problem['detail'] : $error->getMessage();
        }
        if ($isAdministrator) {
            return 'The drawing was not accepted. ' . $error->getMessage();
        }

        return 'The drawing was not accepted because the rendering service is busy or unavailable. Upload it again in a '
            . 'minute. If the problem persists, contact the administrator of this site; the reason is in the error log.';
    }
}
