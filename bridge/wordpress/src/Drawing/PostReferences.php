<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Drawing;

/** Finds the drawings that a post shows. */
final class PostReferences
{
    public const SHORTCODE = 'bulkhead_drawing';
    public const BLOCK = 'bulkhead/drawing';

    /** Whether the content contains the shortcode or the block of an attachment. */
    public static function contains(string $content, int $attachment): bool
    {
        $shortcode = '/\[' . self::SHORTCODE . '\b(?<attributes>[^\]]*)\]/';
        $block = '#<!--\s+wp:' . self::BLOCK . '\s+(?<attributes>\{[^>]*?\})\s+/?-->#';

        return self::anyMatches($shortcode, $content, "/\\bid=[\"']?$attachment(?!\\d)/")
            || self::anyMatches($block, $content, "/\"id\":\\s*$attachment(?!\\d)/");
    }

    private static function anyMatches(string $pattern, string $content, string $reference): bool
    {
        preg_match_all($pattern, $content, $matches);

        return preg_grep($reference, $matches['attributes']) !== [];
    }
}
