<?php

declare(strict_types=1);

namespace Bulkhead;

/** Text from outside. */
final class Text
{
    /** Characters of a file's name, as the contract bounds it. */
    public const MAX_FILENAME = 255;

    /** Whether it is UTF-8 and has at most so many characters. */
    public static function fits(string $text, int $most): bool
    {
        return mb_check_encoding($text, 'UTF-8') && mb_strlen($text, 'UTF-8') <= $most;
    }

    /** Whether it matches a pattern of JSON Schema, as a whole. */
    public static function matches(string $text, string $pattern): bool
    {
        return preg_match("\x01$pattern\x01D", $text) === 1;
    }

    /** What a user calls a file: without folders, and without characters that hide or break something. */
    public static function filename(string $name): string
    {
        $parts = explode('/', strtr(mb_scrub($name, 'UTF-8'), '\\', '/'));
        $shown = preg_replace('/\p{C}+/u', '', end($parts));

        return mb_substr(trim((string) $shown), 0, self::MAX_FILENAME, 'UTF-8');
    }
}
