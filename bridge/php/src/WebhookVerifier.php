<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Exception\WebhookVerificationFailed;
use Bulkhead\Support\Json;

/**
 * Verifies webhooks that are signed according to https://www.standardwebhooks.com:
 *
 *     $event = (new WebhookVerifier($secret))->verify(file_get_contents('php://input'), getallheaders());
 *     if (isNew($event['id'])) { … $event['data']['state'] … }
 *
 * A webhook may be delivered more than once, always with the same id: record the ids that you have processed. Respond
 * with 2xx within seconds; otherwise the webhook is delivered again later.
 */
final class WebhookVerifier
{
    /** Maximum difference between the timestamp and this machine's clock, seconds. */
    private const TOLERANCE = 300;

    private const PREFIX = 'whsec_';

    private readonly string $key;

    private readonly \Closure $clock;

    /**
     * @param string $secret from BULKHEAD_WEBHOOK_SECRETS: `whsec_…`
     * @param callable(): int|null $clock returns seconds since 1970
     * @throws InvalidRequest
     */
    public function __construct(#[\SensitiveParameter] string $secret, ?callable $clock = null)
    {
        $encoded = str_starts_with($secret, self::PREFIX) ? substr($secret, strlen(self::PREFIX)) : $secret;
        if (preg_match('/^[A-Za-z0-9+\/]+={0,2}$/D', $encoded) !== 1) {
            throw new InvalidRequest('The webhook secret must be whsec_ followed by Base64.');
        }
        $this->key = (string) base64_decode($encoded);
        $this->clock = $clock === null ? time(...) : $clock(...);
    }

    /**
     * Returns the event: `id`, `type` (`render.succeeded`, …), `timestamp` and `data`.
     *
     * @param string $body raw body of the request
     * @param array<string, string> $headers of the request; names in any case
     * @return array<string, mixed>
     * @throws WebhookVerificationFailed
     */
    public function verify(string $body, array $headers): array
    {
        $headers = array_change_key_case($headers);
        $id = $headers['webhook-id'] ?? '';
        $timestamp = $headers['webhook-timestamp'] ?? '';
        if ($id === '' || !ctype_digit($timestamp)) {
            throw new WebhookVerificationFailed('The webhook has no id or no timestamp: it was not sent by Bulkhead.');
        }
        if (abs(($this->clock)() - (int) $timestamp) > self::TOLERANCE) {
            throw new WebhookVerificationFailed('The timestamp of the webhook is outside the tolerance: it is too old, or the clock of this machine is wrong.');
        }
        $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $this->key, true));
        $matches = false;
        foreach (explode(' ', $headers['webhook-signature'] ?? '') as $signature) {
            $matches = hash_equals($expected, $signature) || $matches;
        }
        if (!$matches) {
            throw new WebhookVerificationFailed('The signature of the webhook does not match: it is forged, or the secrets differ.');
        }

        return ['id' => $id] + (Json::decodeObject($body) ?? throw new WebhookVerificationFailed('The body of the webhook is not a JSON object.'));
    }
}
