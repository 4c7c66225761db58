<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\ServiceUnavailable;

/** Requests to the platform's HTTP intake, over one connection that is kept. */
class Http
{
    /** Bytes of an answer. A render with many layers and attempts has some thousands. */
    private const MAX_ANSWER = 4 * 1024 * 1024;

    private ?\CurlHandle $handle = null;

    /** @param float $timeout seconds that a request may take in all */
    public function __construct(private readonly float $timeout)
    {
    }

    /**
     * Status code and fields of the JSON that came back (empty if it was none).
     *
     * @param list<string> $headers
     * @param array<string, mixed>|null $form a multipart form, files as CURLFile, which are streamed; null: a GET
     * @return array{int, array<string, mixed>}
     * @throws ServiceUnavailable
     */
    public function request(string $url, array $headers, ?array $form = null): array
    {
        if (!extension_loaded('curl')) {
            throw new ServiceUnavailable('The PHP extension curl is missing: install it (Debian: php-curl).');
        }
        $this->handle ??= curl_init() ?: null;
        curl_reset($this->handle);
        $body = '';
        curl_setopt_array($this->handle, [
            CURLOPT_URL => $url,
            CURLOPT_HTTPHEADER => [...$headers, 'Accept: application/json', 'Expect:'],
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_NOSIGNAL => true,
            CURLOPT_TIMEOUT_MS => (int) ($this->timeout * 1000),
            CURLOPT_WRITEFUNCTION => static function (\CurlHandle $_, string $data) use (&$body): int {
                $body .= $data;

                return strlen($body) > self::MAX_ANSWER ? -1 : strlen($data);
            },
        ] + ($form === null ? [CURLOPT_HTTPGET => true] : [CURLOPT_POST => true, CURLOPT_POSTFIELDS => $form]));
        if (curl_exec($this->handle) === false) {
            $said = curl_error($this->handle);
            throw new ServiceUnavailable("The intake does not answer: check its address and try again. ($said)");
        }

        return [curl_getinfo($this->handle, CURLINFO_RESPONSE_CODE), Json::fields($body) ?? []];
    }
}
