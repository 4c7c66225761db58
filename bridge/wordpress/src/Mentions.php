<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

/** Which drawings the text of a post shows. */
final class Mentions
{
    public const SHORTCODE = 'bulkhead_drawing';
    public const BLOCK = 'bulkhead/drawing';

    /** Whether a text has the shortcode or the block of that attachment. */
    public static function has(string $text, int $attachment): bool
    {
        $shortcode = '/\[' . self::SHORTCODE . '\b(?<attributes>[^\]]*)\]/';
        $block = '#<!--\s+wp:' . self::BLOCK . '\s+(?<attributes>\{[^>]*?\})\s+/?-->#';

        return self::anyHas($shortcode, $text, "/\\bid=[\"']?$attachment(?!\\d)/")
            || self::anyHas($block, $text, "/\"id\":\\s*$attachment(?!\\d)/");
    }

    private static function anyHas(string $pattern, string $text, string $wanted): bool
    {
        preg_match_all($pattern, $text, $found);

        return preg_grep($wanted, $found['attributes']) !== [];
    }
}
