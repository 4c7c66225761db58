<?php

declare(strict_types=1);

namespace Bulkhead\Messaging;

use Bulkhead\Exception\InvalidRequest;

/**
 * Address of a broker: `amqp://user:password@host:5672/vhost`, or `amqps://` for TLS. Parsed as Celery does, so that PHP
 * and Python can share one setting: a URL that ends in `//` or has no path means the virtual host `/`.
 */
final class BrokerUrl
{
    private const PORTS = ['amqp' => 5672, 'amqps' => 5671];

    private function __construct(
        public readonly string $host,
        public readonly int $port,
        public readonly string $user,
        #[\SensitiveParameter] public readonly string $password,
        public readonly string $vhost,
        public readonly bool $tls,
    ) {
    }

    /**
     * Parses a list of URLs separated by semicolons.
     *
     * @return non-empty-list<self>
     * @throws InvalidRequest whose message does not include the URL, because the URL contains a password
     */
    public static function parseAll(#[\SensitiveParameter] string $urls): array
    {
        return array_map(self::parse(...), explode(';', $urls));
    }

    private static function parse(#[\SensitiveParameter] string $url): self
    {
        $parts = parse_url(trim($url));
        $scheme = $parts['scheme'] ?? '';
        if (!isset(self::PORTS[$scheme], $parts['host'])) {
            throw new InvalidRequest("The broker URL must look like amqp://user:password@host:5672/vhost, or amqps://… for TLS.");
        }
        $path = substr($parts['path'] ?? '/', 1);

        return new self(
            trim($parts['host'], '[]'),
            $parts['port'] ?? self::PORTS[$scheme],
            rawurldecode($parts['user'] ?? 'guest'),
            rawurldecode($parts['pass'] ?? 'guest'),
            $path === '' ? '/' : rawurldecode($path),
            $scheme === 'amqps',
        );
    }

    /** Host as PHP's stream functions expect it: IPv6 addresses in brackets. */
    public function address(): string
    {
        return str_contains($this->host, ':') ? "[$this->host]" : $this->host;
    }
}
