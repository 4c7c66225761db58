<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\ForgedWebhook;
use Bulkhead\Exception\Invalid;

/**
 * Verifies webhooks, which are signed as https://www.standardwebhooks.com says:
 *
 *     $event = (new Webhook($secret))->verify(file_get_contents('php://input'), getallheaders());
 *     if (isNew($event['id'])) { … $event['data']['state'] … }
 *
 * A webhook may come more than once, always with the same id: remember those you have handled. Answer with 2xx within
 * seconds; anything else has it sent again later.
 */
final class Webhook
{
    /** Seconds by which a webhook may be old, or ahead of this machine's clock. */
    private const TOLERANCE = 300;

    private const PREFIX = 'whsec_';

    private readonly string $key;

    private readonly \Closure $clock;

    /**
     * @param string $secret as in BULKHEAD_WEBHOOK_SECRETS: `whsec_…`
     * @param callable(): int|null $clock seconds since 1970
     * @throws Invalid
     */
    public function __construct(#[\SensitiveParameter] string $secret, ?callable $clock = null)
    {
        $encoded = str_starts_with($secret, self::PREFIX) ? substr($secret, strlen(self::PREFIX)) : $secret;
        if (preg_match('/^[A-Za-z0-9+\/]+={0,2}$/D', $encoded) !== 1) {
            throw new Invalid('The secret of webhooks must look like whsec_ and Base64 behind it.');
        }
        $this->key = (string) base64_decode($encoded);
        $this->clock = $clock === null ? time(...) : $clock(...);
    }

    /**
     * What it says: `id`, `type` (`render.succeeded`, …), `timestamp` and `data`.
     *
     * @param string $body as it came, byte by byte
     * @param array<string, string> $headers of the request, in any case
     * @return array<string, mixed>
     * @throws ForgedWebhook
     */
    public function verify(string $body, array $headers): array
    {
        $headers = array_change_key_case($headers);
        $id = $headers['webhook-id'] ?? '';
        $timestamp = $headers['webhook-timestamp'] ?? '';
        if ($id === '' || !ctype_digit($timestamp)) {
            throw new ForgedWebhook('The webhook has no id or no timestamp: it is none of ours.');
        }
        if (abs(($this->clock)() - (int) $timestamp) > self::TOLERANCE) {
            throw new ForgedWebhook('The webhook is too old, or the clock of this machine is wrong.');
        }
        $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $this->key, true));
        $matches = false;
        foreach (explode(' ', $headers['webhook-signature'] ?? '') as $signature) {
            $matches = hash_equals($expected, $signature) || $matches;
        }
        if (!$matches) {
            throw new ForgedWebhook('The webhook is not signed with this secret: it is forged, or the secrets differ.');
        }

        return ['id' => $id] + (Json::fields($body) ?? throw new ForgedWebhook('The webhook is no JSON object.'));
    }
}
