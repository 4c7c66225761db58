<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Tests;

use Bulkhead\WordPress\Mentions;
use PHPUnit\Framework\TestCase;

final class MentionsTest extends TestCase
{
    public function testShortcodesAndBlocksAreSeen(): void
    {
        $shown = [
            'Look: [bulkhead_drawing id="7"]',
            "[bulkhead_drawing height='300' id='7']",
            '[bulkhead_drawing id=7 /]',
            '<!-- wp:bulkhead/drawing {"id":7} /-->',
            '<!-- wp:bulkhead/drawing {"height":300,"id":7} /-->',
        ];
        foreach ($shown as $text) {
            self::assertTrue(Mentions::has($text, 7), $text);
        }
    }

    public function testOthersAreNot(): void
    {
        $others = [
            '',
            'id="7"',
            '[bulkhead_drawing id="77"]',
            '[bulkhead_drawing id="17"]',
            '[bulkhead_drawings id="7"]',
            '[gallery id="7"]',
            '[bulkhead_drawing grid="7"]',
            '<!-- wp:bulkhead/drawing {"id":70} /-->',
            '<!-- wp:image {"id":7} /-->',
        ];
        foreach ($others as $text) {
            self::assertFalse(Mentions::has($text, 7), $text);
        }
    }
}
