<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Tests;

use Bulkhead\WordPress\Names;
use PHPUnit\Framework\TestCase;

final class NamesTest extends TestCase
{
    public function testNamesOfPeopleAreTaken(): void
    {
        foreach (['plan.dxf', 'Süd 2.OG.dxf', '水道管.dwg', 'v1.2.final.pdf', 'php.svg'] as $name) {
            self::assertNull(Names::refusal($name), $name);
        }
    }

    public function testNamesThatHideSomethingAreRefused(): void
    {
        $hostile = ['', '../plan.dxf', 'a\\b.dxf', "plan\0.dxf", "plan\n.dxf", "plan\u{202E}fxd.dxf", "\xFF.dxf", str_repeat('x', 256)];
        foreach ($hostile as $name) {
            self::assertSame(
                'The name of this file has characters that hide or break something: rename it and send it again.',
                Names::refusal($name),
            );
        }
    }

    public function testNamesOfScriptsAreRefused(): void
    {
        foreach (['shell.php.dxf', 'shell.PHTML.pdf', 'x.phar.svg', '.htaccess.tif', 'a.php7.b.dwg'] as $name) {
            self::assertSame('The name of this file is that of a script: rename it and send it again.', Names::refusal($name));
        }
    }
}
