<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\Text;

/** Names of files as they come from outside. A drawing lies under its job's id; its name is only ever shown. */
final class Names
{
    /** What web servers run, wherever in a name it stands. */
    private const SCRIPTS = '/\.(php\d*|phtml|phar|phps|cgi|pl|py|sh|aspx?|jsp|htaccess|user\.ini)(\.|$)/i';

    /** Why a drawing of that name is refused, in a sentence for people; null if it is not. */
    public static function refusal(string $name): ?string
    {
        if ($name === '' || Text::filename($name) !== $name) {
            return 'The name of this file has characters that hide or break something: rename it and send it again.';
        }
        if (preg_match(self::SCRIPTS, $name) === 1) {
            return 'The name of this file is that of a script: rename it and send it again.';
        }

        return null;
    }
}
