<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

use Bulkhead\Render;
use Bulkhead\RenderOptions;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/Vectors.php';

/** Messages are those of Celery itself, field by field. Left out: lang, origin, argsrepr, kwargsrepr, reply_to. */
final class CeleryMessageTest extends TestCase
{
    private const OWN_HEADERS = ['lang', 'origin', 'argsrepr', 'kwargsrepr'];

    public function testEveryRequestIsTheMessageThatCeleryWrites(): void
    {
        $vectors = Vectors::read('renders.json');
        self::assertCount(200, $vectors);
        foreach ($vectors as $vector) {
            $message = self::render($vector->request)->message();
            $headers = array_diff_key($message->headers(), array_flip(self::OWN_HEADERS));
            $headers['stamps'] = (object) $headers['stamps'];

            self::assertSame(Vectors::text($vector->headers), Vectors::text((object) $headers));
            self::assertSame(Vectors::text($vector->properties), Vectors::text((object) $message->properties()));
            self::assertSame(Vectors::text($vector->body), Vectors::text(json_decode($message->body())));
        }
    }

    public function testOptionsOfEveryRequestAreTheTextThatPythonWrites(): void
    {
        foreach (Vectors::read('renders.json') as $vector) {
            $defaults = json_decode(RenderOptionsTest::DEFAULTS, true);
            $options = RenderOptions::of((array) $vector->request->options + $defaults);

            self::assertSame($vector->canonical, $options->canonical());
        }
    }

    public function testNoOptionsAtAllStayAnObjectOnTheWire(): void
    {
        $message = (new Render('acme'))->message();

        self::assertStringContainsString('"options":{}', $message->body());
        self::assertSame([[]], array_slice(json_decode($message->body(), true), 0, 1));
    }

    public function testSlashesAndUnicodeAreNotEscaped(): void
    {
        $message = (new Render('acme', filename: "Süd/\u{2028}水.dxf"))->message();

        self::assertStringContainsString("\"Süd/\u{2028}水.dxf\"", $message->body());
    }

    public function testWhatDashboardsShowIsBounded(): void
    {
        $message = (new Render('acme', options: new RenderOptions(layers: str_repeat('ü', 4096))))->message();

        self::assertSame(1024, mb_strlen($message->headers()['kwargsrepr']));
    }

    private static function render(\stdClass $request): Render
    {
        return new Render(
            $request->tenant,
            $request->source,
            $request->filename,
            RenderOptions::of((array) $request->options),
            $request->traceparent,
            $request->webhook,
            $request->job,
        );
    }
}
