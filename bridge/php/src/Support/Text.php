<?php

declare(strict_types=1);

namespace Bulkhead\Support;

/** Validation of text from outside. */
final class Text
{
    /** Maximum length of a file name in the contract, characters. */
    public const MAX_FILENAME = 255;

    /** Whether the text is UTF-8 and at most `$length` characters long. */
    public static function isWithin(string $text, int $length): bool
    {
        return mb_check_encoding($text, 'UTF-8') && mb_strlen($text, 'UTF-8') <= $length;
    }

    /** Whether the whole text matches a pattern of JSON Schema. */
    public static function matches(string $text, string $pattern): bool
    {
        return preg_match("\x01$pattern\x01D", $text) === 1;
    }

    /** Sanitizes a file name: removes folders and control and formatting characters, and limits its length. */
    public static function filename(string $name): string
    {
        $parts = explode('/', strtr(mb_scrub($name, 'UTF-8'), '\\', '/'));
        $visible = preg_replace('/\p{C}+/u', '', end($parts));

        return mb_substr(trim((string) $visible), 0, self::MAX_FILENAME, 'UTF-8');
    }
}
