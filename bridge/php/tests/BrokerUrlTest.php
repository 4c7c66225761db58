<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

use Bulkhead\BrokerUrl;
use Bulkhead\Exception\Invalid;
use PHPUnit\Framework\TestCase;

/** URLs are read as Celery reads them. */
final class BrokerUrlTest extends TestCase
{
    /** @dataProvider urls */
    public function testUrls(string $url, array $parts): void
    {
        [$read] = BrokerUrl::parseAll($url);

        self::assertSame($parts, [$read->user, $read->password, $read->address(), $read->port, $read->vhost, $read->tls]);
    }

    /** @return iterable<array{string, array<int, mixed>}> */
    public function urls(): iterable
    {
        yield ['amqp://u:p@mq:5673/plant', ['u', 'p', 'mq', 5673, 'plant', false]];
        yield ['amqp://guest:guest@127.0.0.1:5672//', ['guest', 'guest', '127.0.0.1', 5672, '/', false]];
        yield ['amqp://mq', ['guest', 'guest', 'mq', 5672, '/', false]];
        yield ['amqp://mq/', ['guest', 'guest', 'mq', 5672, '/', false]];
        yield ['amqps://u:p%40%2F@mq/a%2Fb', ['u', 'p@/', 'mq', 5671, 'a/b', true]];
        yield ['amqp://u:p@[::1]:5672/x', ['u', 'p', '[::1]', 5672, 'x', false]];
    }

    public function testTheBrokersOfAClusterAreSeparatedBySemicolons(): void
    {
        $hosts = array_map(static fn (BrokerUrl $url): string => $url->host, BrokerUrl::parseAll('amqp://a;amqp://b'));

        self::assertSame(['a', 'b'], $hosts);
    }

    public function testWhatIsNoUrlIsRefusedWithoutShowingItsPassword(): void
    {
        try {
            BrokerUrl::parseAll('amqp//u:secret@mq');
            self::fail('it was taken');
        } catch (Invalid $error) {
            $expected = "The broker's URL must look like amqp://user:password@host:5672/vhost, or amqps://… for TLS.";
            self::assertSame($expected, $error->getMessage());
        }
    }
}
