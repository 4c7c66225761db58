<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\Render;
use Bulkhead\Support\Text;

/**
 * Connection to the platform, from constants in wp-config.php or environment variables of the PHP-FPM pool. It is never
 * stored in the database, where a backup or a compromised administrator session would reveal the secrets.
 */
final class Configuration
{
    /** The purpose of each name. Names in SECRETS are never displayed. */
    public const NAMES = [
        'BULKHEAD_URL' => 'URL of the platform for this server',
        'BULKHEAD_PUBLIC_URL' => 'URL of the platform for browsers, if it is different',
        'BULKHEAD_TOKEN' => 'token of this site',
        'BULKHEAD_TENANT' => 'tenant of the token',
        'BULKHEAD_BROKER_URL' => 'URL of the broker, to submit drawings without HTTP',
        'BULKHEAD_STORE_URL' => 'directory of the store, shared with the workers',
    ];
    public const SECRETS = ['BULKHEAD_TOKEN', 'BULKHEAD_BROKER_URL'];

    private function __construct(
        public readonly string $url,
        public readonly string $publicUrl,
        #[\SensitiveParameter] public readonly ?string $token,
        public readonly string $tenant,
        #[\SensitiveParameter] public readonly ?string $brokerUrl,
        public readonly ?string $storeDirectory,
    ) {
    }

    /** @param callable(string): ?string $read returns the value of a name, null if it is not set */
    public static function from(callable $read): self
    {
        $url = rtrim($read('BULKHEAD_URL') ?? '', '/');

        return new self(
            $url,
            rtrim($read('BULKHEAD_PUBLIC_URL') ?? $url, '/'),
            $read('BULKHEAD_TOKEN'),
            $read('BULKHEAD_TENANT') ?? 'local',
            $read('BULKHEAD_BROKER_URL'),
            $read('BULKHEAD_STORE_URL'),
        );
    }

    /** Value of a constant or else an environment variable; null if both are missing or empty. */
    public static function read(string $name): ?string
    {
        $value = defined($name) ? constant($name) : getenv($name);

        return is_string($value) && $value !== '' ? $value : null;
    }

    /** @return list<string> configuration errors that prevent uploads, a sentence each */
    public function problems(): array
    {
        $problems = [];
        $urls = ['BULKHEAD_URL' => $this->url, 'BULKHEAD_PUBLIC_URL' => $this->publicUrl];
        foreach (array_unique($urls) as $name => $url) {
            if (preg_match('#^https?://[^\s/]+#', $url) !== 1) {
                $problems[] = "Set $name in wp-config.php to a URL such as https://bulkhead.example.com.";
            }
        }
        if (($this->brokerUrl === null) !== ($this->storeDirectory === null)) {
            $problems[] = 'Set both BULKHEAD_BROKER_URL and BULKHEAD_STORE_URL, or neither to upload over HTTP.';
        }
        if (!Text::matches($this->tenant, Render::PATTERNS['tenant'])) {
            $problems[] = 'BULKHEAD_TENANT must match [a-z0-9][a-z0-9_-]{0,62}.';
        }

        return $problems;
    }

    /** Whether drawings are written to a shared store and published directly to the broker. */
    public function sharesStore(): bool
    {
        return $this->brokerUrl !== null && $this->storeDirectory !== null;
    }
}
