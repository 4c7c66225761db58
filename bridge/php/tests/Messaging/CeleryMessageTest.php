<?php

declare(strict_types=1);

namespace Bulkhead\Tests\Messaging;

use Bulkhead\Render;
use Bulkhead\RenderOptions;
use Bulkhead\Tests\RenderOptionsTest;
use Bulkhead\Tests\Vectors;
use PHPUnit\Framework\TestCase;

require_once dirname(__DIR__) . '/Vectors.php';

/** Messages equal those of Celery field by field, except lang, origin, argsrepr, kwargsrepr and reply_to. */
final class CeleryMessageTest extends TestCase
{
    private const PUBLISHER_HEADERS = ['lang', 'origin', 'argsrepr', 'kwargsrepr'];

    public function testEveryRequestProducesTheMessageThatCeleryWrites(): void
    {
        $vectors = Vectors::read('renders.json');
        self::assertCount(200, $vectors);
        foreach ($vectors as $vector) {
            $message = self::render($vector->request)->message();
            $headers = array_diff_key($message->headers(), array_flip(self::PUBLISHER_HEADERS));
            $headers['stamps'] = (object) $headers['stamps'];

            self::assertSame(Vectors::text($vector->headers), Vectors::text((object) $headers));
            self::assertSame(Vectors::text($vector->properties), Vectors::text((object) $message->properties()));
            self::assertSame(Vectors::text($vector->body), Vectors::text(json_decode($message->body())));
        }
    }

    public function testTheCanonicalOptionsOfEveryRequestEqualThoseOfPython(): void
    {
        foreach (Vectors::read('renders.json') as $vector) {
            $defaults = json_decode(RenderOptionsTest::DEFAULTS, true);
            $options = RenderOptions::fromArray((array) $vector->request->options + $defaults);

            self::assertSame($vector->canonical, $options->canonical());
        }
    }

    public function testEmptyOptionsAreEncodedAsAnObject(): void
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

    public function testTheLengthOfKwargsreprIsLimited(): void
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
            RenderOptions::fromArray((array) $request->options),
            $request->traceparent,
            $request->webhook,
            $request->job,
        );
    }
}
