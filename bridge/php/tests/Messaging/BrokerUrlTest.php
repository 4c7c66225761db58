<?php

declare(strict_types=1);

namespace Bulkhead\Tests\Messaging;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Messaging\BrokerUrl;
use PHPUnit\Framework\TestCase;

/** URLs are parsed as Celery parses them. */
final class BrokerUrlTest extends TestCase
{
    /** @dataProvider urls */
    public function testUrls(string $url, array $parts): void
    {
        [$parsed] = BrokerUrl::parseAll($url);

        self::assertSame($parts, [$parsed->user, $parsed->password, $parsed->address(), $parsed->port, $parsed->vhost, $parsed->tls]);
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

    public function testTheUrlsOfAClusterAreSeparatedBySemicolons(): void
    {
        $hosts = array_map(static fn (BrokerUrl $url): string => $url->host, BrokerUrl::parseAll('amqp://a;amqp://b'));

        self::assertSame(['a', 'b'], $hosts);
    }

    public function testAnInvalidUrlIsRejectedWithoutRevealingItsPassword(): void
    {
        try {
            BrokerUrl::parseAll('amqp//u:secret@mq');
            self::fail('the URL was accepted');
        } catch (InvalidRequest $error) {
            $expected = "The broker URL must look like amqp://user:password@host:5672/vhost, or amqps://… for TLS.";
            self::assertSame($expected, $error->getMessage());
        }
    }
}
