<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Tests\Drawing;

use Bulkhead\WordPress\Drawing\PostReferences;
use PHPUnit\Framework\TestCase;

final class PostReferencesTest extends TestCase
{
    public function testShortcodesAndBlocksAreFound(): void
    {
        $shown = [
            'Look: [bulkhead_drawing id="7"]',
            "[bulkhead_drawing height='300' id='7']",
            '[bulkhead_drawing id=7 /]',
            '<!-- wp:bulkhead/drawing {"id":7} /-->',
            '<!-- wp:bulkhead/drawing {"height":300,"id":7} /-->',
        ];
        foreach ($shown as $text) {
            self::assertTrue(PostReferences::contains($text, 7), $text);
        }
    }

    public function testOtherContentIsIgnored(): void
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
            self::assertFalse(PostReferences::contains($text, 7), $text);
        }
    }
}
