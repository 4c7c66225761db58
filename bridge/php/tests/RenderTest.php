<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Render;
use Bulkhead\RenderOptions;
use Bulkhead\Support\Text;
use Bulkhead\Support\Uuid;
use PHPUnit\Framework\TestCase;

final class RenderTest extends TestCase
{
    public function testTheJobIdIsGeneratedOnceForEachRender(): void
    {
        $render = new Render('acme');

        self::assertTrue(Uuid::isValid($render->job));
        self::assertSame($render->message()->id, $render->message()->id);
        self::assertNotSame($render->job, (new Render('acme'))->job);
    }

    public function testUuidsAreRandomAndOfVersionFour(): void
    {
        $many = array_map(static fn (): string => Uuid::random(), range(1, 1000));

        self::assertCount(1000, array_unique($many));
        foreach ($many as $one) {
            self::assertMatchesRegularExpression('/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/', $one);
        }
    }

    public function testTheDefaultStoreKeyIsTheJobId(): void
    {
        $render = new Render('acme');

        self::assertSame("sources/acme/$render->job", $render->source);
        self::assertSame('sources/acme/2026/a.dxf', (new Render('acme', 'sources/acme/2026/a.dxf'))->source);
    }

    public function testTilesHaveTheirOwnQueue(): void
    {
        self::assertSame('render', (new Render('acme'))->queue());
        self::assertSame('render.tiles', (new Render('acme', options: new RenderOptions(tiles: true)))->queue());
    }

    public function testTheBoundsAreThoseOfTheSchema(): void
    {
        $properties = json_decode(file_get_contents(__DIR__ . '/../../../docs/reference/schemas/render.json'), true)['properties'];
        $either = array_map(static fn (array $each): array => $each + ($each['anyOf'][0] ?? []), $properties);

        $patterns = array_filter(array_map(static fn (array $each): ?string => $each['pattern'] ?? null, $either));
        self::assertSame(Render::PATTERNS, $patterns);
        $lengths = array_filter(array_map(static fn (array $each): ?int => $each['maxLength'] ?? null, $either));
        self::assertSame(Render::LENGTHS, array_diff_key($lengths, ['job' => 0]));
    }

    /** @dataProvider invalid */
    public function testInvalidFieldsAreRejected(array $fields, string $message): void
    {
        $this->expectException(InvalidRequest::class);
        $this->expectExceptionMessage($message);

        new Render(...$fields + ['tenant' => 'acme']);
    }

    /** @return iterable<string, array{array<string, string>, string}> */
    public function invalid(): iterable
    {
        yield 'tenant' => [['tenant' => 'Acme'], "The render's tenant must match [a-z0-9][a-z0-9_-]{0,62}."];
        yield 'tenant with a line' => [['tenant' => "acme\n"], "The render's tenant must match"];
        yield 'job' => [['job' => '0B0F7C1E-58A2-4AC5-9C1B-7D6C5A3F2E10'], "The render's job must be a lower-case UUID"];
        yield 'another tenant' => [['source' => 'sources/rival/1'], "source must be a store key below sources/acme/."];
        yield 'upwards' => [['source' => 'sources/acme/../rival/1'], "The render's source must be a store key"];
        yield 'too long' => [['source' => 'sources/acme/' . str_repeat('a', 128) . '/' . str_repeat('b', 128)], 'source must be'];
        yield 'filename' => [['filename' => str_repeat('ü', 256)], "The render's filename must be UTF-8 of at most 255 characters."];
        yield 'filename of another encoding' => [['filename' => "S\xFCd.dxf"], "The render's filename must be UTF-8"];
        yield 'traceparent' => [['traceparent' => '00-1-2-01'], "The render's traceparent must be a W3C trace context, or null."];
        yield 'webhook' => [['webhook' => 'ftp://portal.example.com/'], "The render's webhook must be an http or https URL"];
        yield 'webhook with a user' => [['webhook' => 'https://a@b.example.com/'], "The render's webhook must be"];
    }

    /** @dataProvider names */
    public function testFileNamesFromUsersAreSanitized(string $name, string $expected): void
    {
        self::assertSame($expected, Text::filename($name));
    }

    /** @return iterable<array{string, string}> */
    public function names(): iterable
    {
        yield ['plan.dxf', 'plan.dxf'];
        yield ['../../etc/passwd', 'passwd'];
        yield ['C:\\plans\\Süd.dxf', 'Süd.dxf'];
        yield ["a\0b\u{202E}fxd.exe", 'abfxd.exe'];
        yield ["S\xFCd.dxf", 'S?d.dxf'];
        yield [str_repeat('ü', 300), str_repeat('ü', 255)];
        yield ['', ''];
    }
}
