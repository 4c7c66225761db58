<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Exception\RequestRejected;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\Support\HttpTransport;
use Bulkhead\Support\Text;

/**
 * Submits renders through the HTTP API, for servers that share no disk with the workers. The file is streamed; the API
 * stores it, plans the render from its header and publishes the job.
 */
final class HttpRenderClient
{
    private readonly HttpTransport $http;

    /**
     * @param string $url of the API, such as `https://bulkhead.example.com`
     * @param string|null $token the tenant's bearer token; null if the API requires none
     * @param float $timeout total time of an upload, seconds
     */
    public function __construct(
        private readonly string $url,
        #[\SensitiveParameter] private readonly ?string $token = null,
        float $timeout = 300.0,
        ?HttpTransport $http = null,
    ) {
        $this->http = $http ?? new HttpTransport($timeout);
    }

    /**
     * Returns the job's id once the API has accepted the drawing durably.
     *
     * @param string $key idempotency key; reuse it when retrying, so that only one job is created
     * @throws InvalidRequest if the file does not exist
     * @throws RequestRejected if the API rejects the request; retry 429 and 503 later
     * @throws ServiceUnavailable
     */
    public function submit(string $path, string $filename, RenderOptions $options, string $key, ?string $webhook = null): string
    {
        if (!is_file($path)) {
            throw new InvalidRequest("There is no file at $path.");
        }
        $form = ['blueprint' => new \CURLFile($path, 'application/octet-stream', Text::filename($filename))];
        foreach ($options->toArray() as $name => $value) {
            $form[$name] = is_bool($value) ? ($value ? 'true' : 'false') : (string) $value;
        }
        if ($webhook !== null) {
            $form['webhook'] = $webhook;
        }
        [$status, $response] = $this->http->request(
            rtrim($this->url, '/') . '/renders',
            ["Idempotency-Key: $key", ...self::authorization($this->token)],
            $form,
        );
        if ($status !== 202 && $status !== 200) {
            throw new RequestRejected($status, $response);
        }
        if (!is_string($response['id'] ?? null)) {
            throw new ServiceUnavailable("The server at $this->url is not a Bulkhead API: check the URL.");
        }

        return $response['id'];
    }

    /** @return list<string> */
    public static function authorization(#[\SensitiveParameter] ?string $token): array
    {
        return $token === null ? [] : ["Authorization: Bearer $token"];
    }
}
