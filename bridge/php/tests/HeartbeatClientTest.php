<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

use Bulkhead\Beat;
use Bulkhead\Exception\InvalidRequest;
use Bulkhead\HeartbeatClient;
use PHPUnit\Framework\TestCase;

final class HeartbeatClientTest extends TestCase
{
    private const SCHEMA = __DIR__ . '/../../../docs/reference/schemas/heartbeats.json';

    public function testAMessageConformsToTheSchema(): void
    {
        $beat = new Beat('press-00042', 1807, 1_764_070_000.25, 'running', rpm: 1480.0, vibration: 0.1);

        $message = HeartbeatClient::message('ulm', [$beat]);

        self::assertSame(
            '{"version":1,"plant":"ulm","beats":[{"machine":"press-00042","seq":1807,"seen_at":1764070000.25,'
            . '"status":"running","rpm":1480.0,"vibration_mm_s":0.1}]}',
            $message->getBody(),
        );
        self::assertSame(2, $message->get('delivery_mode'));
    }

    public function testStatusesAndFieldsAreThoseOfTheSchema(): void
    {
        $properties = json_decode(file_get_contents(self::SCHEMA), true)['$defs']['Beat']['properties'];
        $sample = new Beat('m', 0, 0.0, 'idle', 1.0, 2.0, 3.0);

        self::assertEqualsCanonicalizing($properties['status']['enum'], Beat::STATUSES);
        self::assertEqualsCanonicalizing(array_keys($properties), array_keys($sample->toArray()));
    }

    /** @dataProvider invalid */
    public function testABeatOutOfBoundsIsRejected(array $fields, string $message): void
    {
        $this->expectException(InvalidRequest::class);
        $this->expectExceptionMessage($message);

        new Beat(...array_replace(['machine' => 'm', 'seq' => 0, 'seenAt' => 0.0, 'status' => 'idle'], $fields));
    }

    /** @return iterable<array{array<string, mixed>, string}> */
    public function invalid(): iterable
    {
        yield [['machine' => 'a b'], "Invalid beat: machine must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}."];
        yield [['seq' => -1], "Invalid beat: seq must be from 0 to 2^53 - 1."];
        yield [['seq' => 2 ** 53], "Invalid beat: seq must be from 0 to 2^53 - 1."];
        yield [['seenAt' => 1.764e12], "Invalid beat: seenAt must be seconds since 1970, not milliseconds."];
        yield [['seenAt' => NAN], "Invalid beat: seenAt must be seconds"];
        yield [['status' => 'on'], "Invalid beat: status must be one of running, idle, stopped, fault, service."];
        yield [['rpm' => INF], "Invalid beat: rpm must be a number from -1e9 to 1e9."];
        yield [['temperature' => NAN], "Invalid beat: temperature must be a number from -1e9 to 1e9."];
    }

    public function testTheNumberOfBeatsIsLimited(): void
    {
        $beat = new Beat('m', 0, 0.0, 'idle');
        foreach ([[], array_fill(0, 1001, $beat)] as $beats) {
            try {
                HeartbeatClient::message('ulm', $beats);
                self::fail('the beats were accepted');
            } catch (InvalidRequest $error) {
                self::assertSame('Send between 1 and 1000 beats at a time.', $error->getMessage());
            }
        }
    }

    public function testAnInvalidNameOfAPlantIsRejected(): void
    {
        $this->expectException(InvalidRequest::class);
        $this->expectExceptionMessage("The name of a plant must match [a-z0-9][a-z0-9_-]{0,62}.");

        new HeartbeatClient('amqp://mq', 'Ulm West');
    }
}
