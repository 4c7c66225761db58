<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Tests\Upload;

use Bulkhead\WordPress\Upload\FileType;
use PHPUnit\Framework\TestCase;

final class FileTypeTest extends TestCase
{
    /** @return array<string, array{string, string}> */
    public function drawings(): array
    {
        return [
            'DXF' => ['plan.dxf', "  0\r\nSECTION\r\n  2\r\nHEADER\r\n"],
            'DXF with comments' => ['plan.DXF', "999\nmade by hand\n999\nand again\n0\nSECTION\n"],
            'DXF with a byte order mark' => ['plan.dxf', "\xEF\xBB\xBF0\nSECTION\n"],
            'binary DXF' => ['plan.dxf', "AutoCAD Binary DXF\r\n\x1A\x00\x00"],
            'DWG' => ['plan.dwg', "AC1032\x00\x00"],
            'PDF' => ['plan.pdf', "%PDF-1.7\n"],
            'PDF behind noise' => ['plan.pdf', str_repeat(' ', 500) . '%PDF-1.4'],
            'SVG' => ['plan.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>'],
            'SVG with a prologue' => ['plan.svg', "<?xml version=\"1.0\"?>\n<!-- <b> -->\n<!DOCTYPE svg PUBLIC \"x\" \"y\">\n<svg>"],
            'TIFF of Intel' => ['plan.tif', "II*\x00"],
            'TIFF of Motorola' => ['plan.tiff', "MM\x00*"],
            'BigTIFF' => ['plan.tiff', "II+\x00"],
        ];
    }

    /** @dataProvider drawings */
    public function testTheContentOfADrawingMatchesItsExtension(string $name, string $head): void
    {
        self::assertTrue(FileType::fromFilename($name)?->matches($head));
    }

    /** @return array<string, array{string, string}> */
    public function mismatches(): array
    {
        return [
            'a script' => ['plan.dxf', "<?php system(\$_GET['x']);"],
            'a script in a comment' => ['plan.dxf', "999 <?php system('x'); ?>\n0\nEOF\n"],
            'a page' => ['plan.svg', '<!doctype html><script>alert(1)</script><svg>'],
            'a page that mentions one' => ['plan.svg', '<html><body><svg>'],
            'an executable' => ['plan.dwg', "MZ\x90\x00"],
            'a late PDF' => ['plan.pdf', str_repeat(' ', 1024) . '%PDF-1.4'],
            'another type' => ['plan.tif', "%PDF-1.7\n"],
            'nothing' => ['plan.dxf', ''],
        ];
    }

    /** @dataProvider mismatches */
    public function testOtherContentIsRejected(string $name, string $head): void
    {
        self::assertFalse(FileType::fromFilename($name)?->matches($head));
    }

    public function testOnlyTheLastExtensionDeterminesTheType(): void
    {
        self::assertNull(FileType::fromFilename('plan.dxf.php'));
        self::assertNull(FileType::fromFilename('dxf'));
        self::assertNull(FileType::fromFilename('photo.jpg'));
    }

    public function testMimeTypesAreInTheFormatOfWordPress(): void
    {
        self::assertSame('image/tiff', FileType::mimeTypes()['tif|tiff']);
        self::assertCount(5, FileType::mimeTypes());
    }
}
