<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Exception\WebhookVerificationFailed;
use Bulkhead\WebhookVerifier;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/Vectors.php';

final class WebhookVerifierTest extends TestCase
{
    private const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    private const OTHER = 'whsec_AAKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    private const NOW = 1_700_000_000;

    public function testWebhooksSignedByPythonAreVerified(): void
    {
        $vectors = Vectors::read('webhooks.json');
        self::assertCount(20, $vectors);
        foreach ($vectors as $vector) {
            $webhook = new WebhookVerifier($vector->secret, static fn (): int => self::NOW + 60);

            $event = $webhook->verify($vector->body, array_change_key_case((array) $vector->headers, CASE_UPPER));

            self::assertSame($vector->headers->{'webhook-id'}, $event['id']);
            self::assertSame('render.succeeded', $event['type']);
        }
    }

    public function testOneValidSignatureIsEnoughDuringTheRotationOfASecret(): void
    {
        [$body, $headers] = self::signed(self::OTHER);
        $headers['webhook-signature'] .= ' ' . self::signed(self::SECRET)[1]['webhook-signature'];

        self::assertSame('m1', self::webhook()->verify($body, $headers)['id']);
    }

    /** @dataProvider forgeries */
    public function testAForgedWebhookIsRejected(callable $forge, string $message): void
    {
        [$body, $headers] = $forge(...self::signed(self::SECRET));

        $this->expectException(WebhookVerificationFailed::class);
        $this->expectExceptionMessage($message);

        self::webhook()->verify($body, $headers);
    }

    /** @return iterable<string, array{callable, string}> */
    public function forgeries(): iterable
    {
        $mismatch = 'The signature of the webhook does not match: it is forged, or the secrets differ.';
        $incomplete = 'The webhook has no id or no timestamp: it was not sent by Bulkhead.';
        yield 'another body' => [static fn (string $b, array $h): array => ["$b ", $h], $mismatch];
        yield 'another id' => [static fn (string $b, array $h): array => [$b, ['webhook-id' => 'm2'] + $h], $mismatch];
        yield 'another secret' => [static fn (): array => self::signed(self::OTHER), $mismatch];
        yield 'no signature' => [static fn (string $b, array $h): array => [$b, ['webhook-signature' => ''] + $h], $mismatch];
        yield 'no headers' => [static fn (string $b): array => [$b, []], $incomplete];
        yield 'no number' => [static fn (string $b, array $h): array => [$b, ['webhook-timestamp' => '1e9'] + $h], $incomplete];
        $old = 'The timestamp of the webhook is outside the tolerance';
        yield 'too old' => [static fn (): array => self::signed(self::SECRET, self::NOW - 301), $old];
        yield 'from the future' => [static fn (): array => self::signed(self::SECRET, self::NOW + 301), $old];
    }

    /**
     * @testWith [""]
     *           ["whsec_"]
     *           ["whsec_no base64"]
     */
    public function testAnInvalidSecretIsRejected(string $secret): void
    {
        $this->expectException(InvalidRequest::class);
        $this->expectExceptionMessage('The webhook secret must be whsec_ followed by Base64.');

        new WebhookVerifier($secret);
    }

    /** @return array{string, array<string, string>} */
    private static function signed(string $secret, int $at = self::NOW): array
    {
        $body = '{"type":"render.succeeded"}';
        $mac = hash_hmac('sha256', "m1.$at.$body", (string) base64_decode(substr($secret, 6)), true);

        return [$body, [
            'webhook-id' => 'm1',
            'webhook-timestamp' => (string) $at,
            'webhook-signature' => 'v1,' . base64_encode($mac),
        ]];
    }

    private static function webhook(): WebhookVerifier
    {
        return new WebhookVerifier(self::SECRET, static fn (): int => self::NOW);
    }
}
