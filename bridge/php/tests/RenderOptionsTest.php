<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\RenderOptions;
use PHPUnit\Framework\TestCase;

/** The rules are those of docs/reference/schemas/render.json, which is generated from the worker's model. */
final class RenderOptionsTest extends TestCase
{
    public const DEFAULTS = '{"width":2048,"background":"light","layout":"","page":1,"tiles":false,"layer_tiles":false,'
        . '"tile_layer":-1,"line_work":false,"dpi":0,"scale":1,"layers":"","line_weight":100,"region":"","format":"webp"}';

    private const SCHEMA = __DIR__ . '/../../../docs/reference/schemas/render.json';

    public function testTheRulesAreThoseOfTheSchema(): void
    {
        $properties = json_decode(file_get_contents(self::SCHEMA), true)['$defs']['RenderOptions']['properties'];

        $rules = [];
        foreach ($properties as $name => $schema) {
            $rules[$name] = match (true) {
                isset($schema['enum']) => ['choice', ...$schema['enum']],
                isset($schema['pattern']) => [$name, $schema['pattern']],
                $schema['type'] === 'string' => ['text', $schema['maxLength']],
                $schema['type'] === 'integer' => ['integer', $schema['minimum'], $schema['maximum']],
                default => [$schema['type']],
            };
        }
        self::assertSame($rules, RenderOptions::RULES);
        self::assertSame(json_decode(self::DEFAULTS, true), array_column(array_map(
            static fn (string $name): array => [$name, $properties[$name]['default']],
            array_keys($properties),
        ), 1, 0));
    }

    public function testOmittedOptionsAreNotSent(): void
    {
        $options = new RenderOptions(width: 1024, tiles: true);

        self::assertSame(['tiles' => true, 'width' => 1024], $options->toArray());
        self::assertSame('{"tiles":true,"width":1024}', $options->canonical());
        self::assertTrue($options->tiles());
        self::assertSame('{}', (new RenderOptions())->canonical());
    }

    /** @dataProvider outOfBounds */
    public function testAnInvalidValueIsRejectedWithTheNameOfTheOption(string $name, mixed $value, string $message): void
    {
        $this->expectException(InvalidRequest::class);
        $this->expectExceptionMessage($message);

        RenderOptions::fromArray([$name => $value]);
    }

    /** @return iterable<array{string, mixed, string}> */
    public function outOfBounds(): iterable
    {
        foreach (RenderOptions::RULES as $name => $rule) {
            if ($rule[0] === 'integer') {
                yield "$name below" => [$name, $rule[1] - 1, "The option $name must be from $rule[1] to $rule[2]."];
                yield "$name above" => [$name, $rule[2] + 1, "The option $name must be from $rule[1] to $rule[2]."];
            }
            if ($rule[0] === 'text') {
                yield "$name too long" => [$name, str_repeat('ü', $rule[1] + 1), "must be UTF-8 of at most $rule[1]"];
            }
        }
        yield 'not UTF-8' => ['layers', "\xFF", 'The option layers must be UTF-8 of at most 4096 characters.'];
        yield 'not a choice' => ['format', 'gif', 'The option format must be one of webp, webp-lossless, webp-lossy, png.'];
        yield 'an empty region' => ['region', '0,0,99,5000', 'The option region must be left,top,right,bottom'];
        yield 'a region beyond the drawing' => ['region', '0,0,10001,5000', 'The option region must be left,top,right,bottom'];
        yield 'not a region' => ['region', "0,0,5000,5000\n", 'The option region must be left,top,right,bottom'];
        yield 'a float' => ['width', 10.5, 'Options must be integers, strings or booleans: {"width":10.5}.'];
        yield 'a string for a number' => ['width', '100', 'Options must be integers, strings or booleans'];
        yield 'a list' => ['layers', ['a'], 'Options must be integers, strings or booleans'];
        yield 'unknown' => ['colour', 1, 'Unknown option "colour". Valid options: width, background, layout'];
    }

    public function testTextsOfTheMaximumLengthAreAccepted(): void
    {
        $options = new RenderOptions(layout: str_repeat('水', 255), layers: str_repeat('ü', 4096));

        self::assertSame(255, mb_strlen($options->toArray()['layout']));
    }

    public function testFormFieldsAreConvertedToTheirTypes(): void
    {
        $options = RenderOptions::fromForm(['width' => '1024', 'tiles' => 'true', 'line_work' => '0', 'layers' => '10']);

        self::assertSame(['layers' => '10', 'line_work' => false, 'tiles' => true, 'width' => 1024], $options->toArray());
    }

    /**
     * @testWith ["width", "12.5"]
     *           ["width", ""]
     *           ["tiles", "perhaps"]
     *           ["layers", ["a"]]
     *           ["width", ["1"]]
     */
    public function testInvalidFormFieldsAreRejected(string $name, mixed $text): void
    {
        $this->expectException(InvalidRequest::class);
        $this->expectExceptionMessage("Invalid value for the option $name.");

        RenderOptions::fromForm([$name => $text]);
    }
}
