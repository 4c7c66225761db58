<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Tests;

use Bulkhead\WordPress\Settings;
use PHPUnit\Framework\TestCase;

final class SettingsTest extends TestCase
{
    private const DEFAULTS = ['width' => 2048, 'background' => 'light', 'height' => 600, 'delete_drawings' => false];

    public function testTheDefaultsApplyIfNothingIsStored(): void
    {
        self::assertSame(self::DEFAULTS, Settings::fromArray(false)->toArray());
    }

    public function testValuesOfAFormAreRead(): void
    {
        $input = ['width' => '1024', 'background' => 'dark', 'height' => '400', 'delete_drawings' => '1'];

        $settings = Settings::fromArray($input);

        self::assertSame(['width' => 1024, 'background' => 'dark', 'height' => 400, 'delete_drawings' => true], $settings->toArray());
        self::assertSame('{"background":"dark","width":1024}', $settings->renderOptions()->canonical());
    }

    public function testInvalidValuesAreReplacedByTheDefaults(): void
    {
        $hostile = ['width' => '9e9', 'background' => '"><script>', 'height' => ['x'], 'delete_drawings' => 'perhaps', 'more' => 1];

        self::assertSame(self::DEFAULTS, Settings::fromArray($hostile)->toArray());
    }
}
