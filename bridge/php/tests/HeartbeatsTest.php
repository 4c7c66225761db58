<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

use Bulkhead\Beat;
use Bulkhead\Exception\Invalid;
use Bulkhead\Heartbeats;
use PHPUnit\Framework\TestCase;

final class HeartbeatsTest extends TestCase
{
    private const SCHEMA = __DIR__ . '/../../../docs/reference/schemas/heartbeats.json';

    public function testAMessageIsWhatTheSchemaSays(): void
    {
        $beat = new Beat('press-00042', 1807, 1_764_070_000.25, 'running', rpm: 1480.0, vibration: 0.1);

        $message = Heartbeats::message('ulm', [$beat]);

        self::assertSame(
            '{"version":1,"plant":"ulm","beats":[{"machine":"press-00042","seq":1807,"seen_at":1764070000.25,'
            . '"status":"running","rpm":1480.0,"vibration_mm_s":0.1}]}',
            $message->getBody(),
        );
        self::assertSame(2, $message->get('delivery_mode'));
    }

    public function testStatesAndFieldsAreThoseOfTheSchema(): void
    {
        $properties = json_decode(file_get_contents(self::SCHEMA), true)['$defs']['Beat']['properties'];
        $sample = new Beat('m', 0, 0.0, 'idle', 1.0, 2.0, 3.0);

        self::assertEqualsCanonicalizing($properties['status']['enum'], Beat::STATUSES);
        self::assertEqualsCanonicalizing(array_keys($properties), array_keys($sample->toArray()));
    }

    /** @dataProvider refused */
    public function testABeatOutOfBoundsIsRefused(array $fields, string $said): void
    {
        $this->expectException(Invalid::class);
        $this->expectExceptionMessage($said);

        new Beat(...array_replace(['machine' => 'm', 'seq' => 0, 'seenAt' => 0.0, 'status' => 'idle'], $fields));
    }

    /** @return iterable<array{array<string, mixed>, string}> */
    public function refused(): iterable
    {
        yield [['machine' => 'a b'], "A beat's machine must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}."];
        yield [['seq' => -1], "A beat's seq must be from 0 to 2^53 - 1."];
        yield [['seq' => 2 ** 53], "A beat's seq must be from 0 to 2^53 - 1."];
        yield [['seenAt' => 1.764e12], "A beat's seenAt must be seconds since 1970, not milliseconds."];
        yield [['seenAt' => NAN], "A beat's seenAt must be seconds"];
        yield [['status' => 'on'], "A beat's status must be one of running, idle, stopped, fault, service."];
        yield [['rpm' => INF], "A beat's rpm must be a number of at most 1e9."];
        yield [['temperature' => NAN], "A beat's temperature must be a number of at most 1e9."];
    }

    public function testNoBeatsAndTooManyAreRefused(): void
    {
        $beat = new Beat('m', 0, 0.0, 'idle');
        foreach ([[], array_fill(0, 1001, $beat)] as $beats) {
            try {
                Heartbeats::message('ulm', $beats);
                self::fail('it was taken');
            } catch (Invalid $error) {
                self::assertSame('Send from 1 to 1000 beats at a time.', $error->getMessage());
            }
        }
    }

    public function testAPlantHasAName(): void
    {
        $this->expectException(Invalid::class);
        $this->expectExceptionMessage("A plant's name must match [a-z0-9][a-z0-9_-]{0,62}.");

        new Heartbeats('amqp://mq', 'Ulm West');
    }
}
