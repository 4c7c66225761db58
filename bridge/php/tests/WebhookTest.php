<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

use Bulkhead\Exception\ForgedWebhook;
use Bulkhead\Exception\Invalid;
use Bulkhead\Webhook;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/Vectors.php';

final class WebhookTest extends TestCase
{
    private const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    private const OTHER = 'whsec_AAKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    private const NOW = 1_700_000_000;

    public function testWebhooksThatPythonSignedAreVerified(): void
    {
        $vectors = Vectors::read('webhooks.json');
        self::assertCount(20, $vectors);
        foreach ($vectors as $vector) {
            $webhook = new Webhook($vector->secret, static fn (): int => self::NOW + 60);

            $event = $webhook->verify($vector->body, array_change_key_case((array) $vector->headers, CASE_UPPER));

            self::assertSame($vector->headers->{'webhook-id'}, $event['id']);
            self::assertSame('render.succeeded', $event['type']);
        }
    }

    public function testOneOfSeveralSignaturesIsEnoughWhileASecretChanges(): void
    {
        [$body, $headers] = self::signed(self::OTHER);
        $headers['webhook-signature'] .= ' ' . self::signed(self::SECRET)[1]['webhook-signature'];

        self::assertSame('m1', self::webhook()->verify($body, $headers)['id']);
    }

    /** @dataProvider forgeries */
    public function testAForgedWebhookIsRefused(callable $forge, string $said): void
    {
        [$body, $headers] = $forge(...self::signed(self::SECRET));

        $this->expectException(ForgedWebhook::class);
        $this->expectExceptionMessage($said);

        self::webhook()->verify($body, $headers);
    }

    /** @return iterable<string, array{callable, string}> */
    public function forgeries(): iterable
    {
        $not = 'The webhook is not signed with this secret: it is forged, or the secrets differ.';
        $none = 'The webhook has no id or no timestamp: it is none of ours.';
        yield 'another body' => [static fn (string $b, array $h): array => ["$b ", $h], $not];
        yield 'another id' => [static fn (string $b, array $h): array => [$b, ['webhook-id' => 'm2'] + $h], $not];
        yield 'another secret' => [static fn (): array => self::signed(self::OTHER), $not];
        yield 'no signature' => [static fn (string $b, array $h): array => [$b, ['webhook-signature' => ''] + $h], $not];
        yield 'no headers' => [static fn (string $b): array => [$b, []], $none];
        yield 'no number' => [static fn (string $b, array $h): array => [$b, ['webhook-timestamp' => '1e9'] + $h], $none];
        $old = 'The webhook is too old, or the clock of this machine is wrong.';
        yield 'too old' => [static fn (): array => self::signed(self::SECRET, self::NOW - 301), $old];
        yield 'from the future' => [static fn (): array => self::signed(self::SECRET, self::NOW + 301), $old];
    }

    /**
     * @testWith [""]
     *           ["whsec_"]
     *           ["whsec_no base64"]
     */
    public function testASecretThatIsNoneIsAMistake(string $secret): void
    {
        $this->expectException(Invalid::class);
        $this->expectExceptionMessage('The secret of webhooks must look like whsec_ and Base64 behind it.');

        new Webhook($secret);
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

    private static function webhook(): Webhook
    {
        return new Webhook(self::SECRET, static fn (): int => self::NOW);
    }
}
