<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Tests;

use Bulkhead\WordPress\Configuration;
use PHPUnit\Framework\TestCase;

final class ConfigurationTest extends TestCase
{
    public function testAnAddressIsEnough(): void
    {
        $configuration = $this->of(['BULKHEAD_URL' => 'https://bulkhead.example.com/']);

        self::assertSame([], $configuration->problems());
        self::assertSame('https://bulkhead.example.com', $configuration->publicUrl);
        self::assertSame('local', $configuration->tenant);
        self::assertFalse($configuration->isShared());
    }

    public function testBrokerAndStoreGoTogether(): void
    {
        $both = ['BULKHEAD_URL' => 'http://b', 'BULKHEAD_BROKER_URL' => 'amqp://b', 'BULKHEAD_STORE_URL' => '/srv/store'];

        self::assertTrue($this->of($both)->isShared());
        unset($both['BULKHEAD_STORE_URL']);
        self::assertSame(
            ['Set both BULKHEAD_BROKER_URL and BULKHEAD_STORE_URL, or neither: then drawings go by HTTP.'],
            $this->of($both)->problems(),
        );
    }

    public function testWhatIsWrongIsSaidWithWhatToDo(): void
    {
        self::assertSame(
            [
                'Set BULKHEAD_URL in wp-config.php to an address such as https://bulkhead.example.com.',
                'BULKHEAD_TENANT must match [a-z0-9][a-z0-9_-]{0,62}.',
            ],
            $this->of(['BULKHEAD_URL' => 'javascript:alert(1)', 'BULKHEAD_TENANT' => '../acme'])->problems(),
        );
    }

    public function testAConstantComesBeforeTheEnvironment(): void
    {
        putenv('BULKHEAD_TEST_NAME=of the pool');
        self::assertSame('of the pool', Configuration::named('BULKHEAD_TEST_NAME'));
        define('BULKHEAD_TEST_NAME', 'of wp-config');
        self::assertSame('of wp-config', Configuration::named('BULKHEAD_TEST_NAME'));
        self::assertNull(Configuration::named('BULKHEAD_TEST_NO_SUCH_NAME'));
    }

    /** @param array<string, string> $values */
    private function of(array $values): Configuration
    {
        return Configuration::from(static fn (string $name): ?string => $values[$name] ?? null);
    }
}
