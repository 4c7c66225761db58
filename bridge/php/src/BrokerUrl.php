<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\Invalid;

/**
 * Where a broker is: `amqp://user:password@host:5672/vhost`, or `amqps://` for TLS. It reads URLs as Celery does, so
 * that both sides share one setting: `//` at the end and no path at all are the virtual host `/`.
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
     * Every broker of a list that is separated by semicolons.
     *
     * @return non-empty-list<self>
     * @throws Invalid, without the URL in its text, which has a password.
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
            throw new Invalid("The broker's URL must look like amqp://user:password@host:5672/vhost, or amqps://… for TLS.");
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

    /** As a host of a stream's address: IPv6 has brackets there. */
    public function address(): string
    {
        return str_contains($this->host, ':') ? "[$this->host]" : $this->host;
    }
}
