<?php

declare(strict_types=1);

namespace Bulkhead\Support;

use Bulkhead\Exception\ServiceUnavailable;

/** Sends requests to the HTTP API over a persistent connection. */
class HttpTransport
{
    /** Maximum size of a response, bytes. A render with many layers and attempts takes a few thousand. */
    private const MAX_RESPONSE = 4 * 1024 * 1024;

    private ?\CurlHandle $handle = null;

    /** @param float $timeout total time of a request, seconds */
    public function __construct(private readonly float $timeout)
    {
    }

    /**
     * Returns the status code and the fields of the JSON response; no fields if the response is not a JSON object.
     *
     * @param list<string> $headers
     * @param array<string, mixed>|null $form multipart form, with files as CURLFile, which curl streams; null sends a GET
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

                return strlen($body) > self::MAX_RESPONSE ? -1 : strlen($data);
            },
        ] + ($form === null ? [CURLOPT_HTTPGET => true] : [CURLOPT_POST => true, CURLOPT_POSTFIELDS => $form]));
        if (curl_exec($this->handle) === false) {
            $reason = curl_error($this->handle);
            throw new ServiceUnavailable("The Bulkhead API does not respond: check its URL and try again. ($reason)");
        }

        return [curl_getinfo($this->handle, CURLINFO_RESPONSE_CODE), Json::decodeObject($body) ?? []];
    }
}
