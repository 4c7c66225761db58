<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Tests;

use Bulkhead\WordPress\Settings;
use PHPUnit\Framework\TestCase;

final class SettingsTest extends TestCase
{
    private const DEFAULTS = ['width' => 2048, 'background' => 'light', 'height' => 600, 'delete_drawings' => false];

    public function testNothingStoredIsTheDefaults(): void
    {
        self::assertSame(self::DEFAULTS, Settings::of(false)->toArray());
    }

    public function testWhatAFormSaysIsTaken(): void
    {
        $given = ['width' => '1024', 'background' => 'dark', 'height' => '400', 'delete_drawings' => '1'];

        $settings = Settings::of($given);

        self::assertSame(['width' => 1024, 'background' => 'dark', 'height' => 400, 'delete_drawings' => true], $settings->toArray());
        self::assertSame('{"background":"dark","width":1024}', $settings->options()->canonical());
    }

    public function testWhatIsNotSensibleIsTheDefault(): void
    {
        $hostile = ['width' => '9e9', 'background' => '"><script>', 'height' => ['x'], 'delete_drawings' => 'perhaps', 'more' => 1];

        self::assertSame(self::DEFAULTS, Settings::of($hostile)->toArray());
    }
}
