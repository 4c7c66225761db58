<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Tests\Upload;

use Bulkhead\WordPress\Upload\FileName;
use PHPUnit\Framework\TestCase;

final class FileNameTest extends TestCase
{
    public function testOrdinaryNamesAreValid(): void
    {
        foreach (['plan.dxf', 'Süd 2.OG.dxf', '水道管.dwg', 'v1.2.final.pdf', 'php.svg'] as $name) {
            self::assertNull(FileName::validate($name), $name);
        }
    }

    public function testNamesWithInvalidCharactersAreRejected(): void
    {
        $hostile = ['', '../plan.dxf', 'a\\b.dxf', "plan\0.dxf", "plan\n.dxf", "plan\u{202E}fxd.dxf", "\xFF.dxf", str_repeat('x', 256)];
        foreach ($hostile as $name) {
            self::assertSame(
                'The file name is too long or contains invalid characters: rename the file and upload it again.',
                FileName::validate($name),
            );
        }
    }

    public function testNamesOfScriptsAreRejected(): void
    {
        foreach (['shell.php.dxf', 'shell.PHTML.pdf', 'x.phar.svg', '.htaccess.tif', 'a.php7.b.dwg'] as $name) {
            self::assertSame('The file name contains the extension of a script: rename the file and upload it again.', FileName::validate($name));
        }
    }
}
