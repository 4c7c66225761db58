<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\Render;
use Bulkhead\Text;

/**
 * Where the platform is: constants of wp-config.php or variables of PHP-FPM's pool, never the database, where whoever
 * takes over one administrator's session, or one backup, would find the secrets.
 */
final class Configuration
{
    /** What each is for; those of the second list are secrets. */
    public const NAMES = [
        'BULKHEAD_URL' => 'address of the platform for this server',
        'BULKHEAD_PUBLIC_URL' => 'address of the platform for browsers, if that is another one',
        'BULKHEAD_TOKEN' => 'token of this site',
        'BULKHEAD_TENANT' => 'tenant that the token belongs to',
        'BULKHEAD_BROKER_URL' => 'the broker, to hand over drawings without HTTP',
        'BULKHEAD_STORE_URL' => 'the store, a directory that workers share with this server',
    ];
    public const SECRETS = ['BULKHEAD_TOKEN', 'BULKHEAD_BROKER_URL'];

    private function __construct(
        public readonly string $url,
        public readonly string $publicUrl,
        #[\SensitiveParameter] public readonly ?string $token,
        public readonly string $tenant,
        #[\SensitiveParameter] public readonly ?string $brokerUrl,
        public readonly ?string $store,
    ) {
    }

    /** @param callable(string): ?string $named the value of a name, null if there is none */
    public static function from(callable $named): self
    {
        $url = rtrim($named('BULKHEAD_URL') ?? '', '/');

        return new self(
            $url,
            rtrim($named('BULKHEAD_PUBLIC_URL') ?? $url, '/'),
            $named('BULKHEAD_TOKEN'),
            $named('BULKHEAD_TENANT') ?? 'local',
            $named('BULKHEAD_BROKER_URL'),
            $named('BULKHEAD_STORE_URL'),
        );
    }

    /** A constant, else a variable of the environment; null where both are missing or empty. */
    public static function named(string $name): ?string
    {
        $value = defined($name) ? constant($name) : getenv($name);

        return is_string($value) && $value !== '' ? $value : null;
    }

    /** @return list<string> what has to be mended before a drawing can be handed over, a sentence each */
    public function problems(): array
    {
        $problems = [];
        $addresses = ['BULKHEAD_URL' => $this->url, 'BULKHEAD_PUBLIC_URL' => $this->publicUrl];
        foreach (array_unique($addresses) as $name => $url) {
            if (preg_match('#^https?://[^\s/]+#', $url) !== 1) {
                $problems[] = "Set $name in wp-config.php to an address such as https://bulkhead.example.com.";
            }
        }
        if (($this->brokerUrl === null) !== ($this->store === null)) {
            $problems[] = 'Set both BULKHEAD_BROKER_URL and BULKHEAD_STORE_URL, or neither: then drawings go by HTTP.';
        }
        if (!Text::matches($this->tenant, Render::PATTERNS['tenant'])) {
            $problems[] = 'BULKHEAD_TENANT must match [a-z0-9][a-z0-9_-]{0,62}.';
        }

        return $problems;
    }

    /** Whether drawings go straight to the store and the broker. */
    public function isShared(): bool
    {
        return $this->brokerUrl !== null && $this->store !== null;
    }
}
