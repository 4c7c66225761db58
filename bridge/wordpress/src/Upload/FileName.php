<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Upload;

use Bulkhead\Support\Text;

/** Validation of uploaded file names. A drawing is stored under the id of its job; its name is only displayed. */
final class FileName
{
    /** Extensions that a web server may execute, at any position in a name. */
    private const SCRIPT_EXTENSIONS = '/\.(php\d*|phtml|phar|phps|cgi|pl|py|sh|aspx?|jsp|htaccess|user\.ini)(\.|$)/i';

    /** Returns why the name is rejected, as a sentence for users; null if it is valid. */
    public static function validate(string $name): ?string
    {
        if ($name === '' || Text::filename($name) !== $name) {
            return 'The file name is too long or contains invalid characters: rename the file and upload it again.';
        }
        if (preg_match(self::SCRIPT_EXTENSIONS, $name) === 1) {
            return 'The file name contains the extension of a script: rename the file and upload it again.';
        }

        return null;
    }
}
