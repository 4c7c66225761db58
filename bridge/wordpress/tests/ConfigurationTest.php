<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Tests;

use Bulkhead\WordPress\Configuration;
use PHPUnit\Framework\TestCase;

final class ConfigurationTest extends TestCase
{
    public function testAUrlIsSufficient(): void
    {
        $configuration = $this->configuration(['BULKHEAD_URL' => 'https://bulkhead.example.com/']);

        self::assertSame([], $configuration->problems());
        self::assertSame('https://bulkhead.example.com', $configuration->publicUrl);
        self::assertSame('local', $configuration->tenant);
        self::assertFalse($configuration->sharesStore());
    }

    public function testBrokerAndStoreMustBeSetTogether(): void
    {
        $both = ['BULKHEAD_URL' => 'http://b', 'BULKHEAD_BROKER_URL' => 'amqp://b', 'BULKHEAD_STORE_URL' => '/srv/store'];

        self::assertTrue($this->configuration($both)->sharesStore());
        unset($both['BULKHEAD_STORE_URL']);
        self::assertSame(
            ['Set both BULKHEAD_BROKER_URL and BULKHEAD_STORE_URL, or neither to upload over HTTP.'],
            $this->configuration($both)->problems(),
        );
    }

    public function testProblemsSayWhatToDo(): void
    {
        self::assertSame(
            [
                'Set BULKHEAD_URL in wp-config.php to a URL such as https://bulkhead.example.com.',
                'BULKHEAD_TENANT must match [a-z0-9][a-z0-9_-]{0,62}.',
            ],
            $this->configuration(['BULKHEAD_URL' => 'javascript:alert(1)', 'BULKHEAD_TENANT' => '../acme'])->problems(),
        );
    }

    public function testAConstantTakesPrecedenceOverTheEnvironment(): void
    {
        putenv('BULKHEAD_TEST_NAME=from the pool');
        self::assertSame('from the pool', Configuration::read('BULKHEAD_TEST_NAME'));
        define('BULKHEAD_TEST_NAME', 'from wp-config');
        self::assertSame('from wp-config', Configuration::read('BULKHEAD_TEST_NAME'));
        self::assertNull(Configuration::read('BULKHEAD_TEST_NO_SUCH_NAME'));
    }

    /** @param array<string, string> $values */
    private function configuration(array $values): Configuration
    {
        return Configuration::from(static fn (string $name): ?string => $values[$name] ?? null);
    }
}
