<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Exception\RequestRejected;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\Support\HttpTransport;
use Bulkhead\Support\Uuid;

/**
 * Queries the status of a render over the HTTP API:
 *
 *     $client = new StatusClient('https://bulkhead.example.com', $token);
 *     $status = $client->get($job, publishedAt: $row['published_at']);
 *     if ($status?->succeeded()) { … $status->links['preview'] … }
 *
 * The platform does not know a render that was published directly to the broker until a worker receives it. Within the
 * grace period after publishing, an unknown render is therefore reported as `queued`.
 */
final class StatusClient
{
    /** Default grace period, seconds. If the queue takes longer, the render is reported as unknown until it starts. */
    public const GRACE_PERIOD = 3600.0;

    private readonly string $url;

    private readonly HttpTransport $http;

    private readonly \Closure $clock;

    /**
     * @param string $url of the API
     * @param string|null $token the tenant's bearer token; null if the API requires none
     * @param float $gracePeriod time after publishing in which an unknown render is reported as queued, seconds
     * @param float $timeout total time of a request, seconds
     * @param callable(): float|null $clock returns seconds since 1970
     */
    public function __construct(
        string $url,
        #[\SensitiveParameter] private readonly ?string $token = null,
        private readonly float $gracePeriod = self::GRACE_PERIOD,
        float $timeout = 5.0,
        ?HttpTransport $http = null,
        ?callable $clock = null,
    ) {
        $this->url = rtrim($url, '/');
        $this->http = $http ?? new HttpTransport($timeout);
        $this->clock = $clock === null ? static fn (): float => microtime(true) : $clock(...);
    }

    /**
     * @param float|null $publishedAt time of publishing, seconds since 1970; null if unknown
     * @return RenderStatus|null null if the render does not exist
     * @throws InvalidRequest
     * @throws RequestRejected
     * @throws ServiceUnavailable
     */
    public function get(string $job, ?float $publishedAt = null): ?RenderStatus
    {
        if (!Uuid::isValid($job)) {
            throw new InvalidRequest("A job id must be a lower-case UUID with hyphens.");
        }
        [$code, $response] = $this->http->request("$this->url/renders/$job", HttpRenderClient::authorization($this->token));
        if ($code === 404) {
            return $this->statusOfUnknown($job, $publishedAt);
        }
        if ($code !== 200) {
            throw new RequestRejected($code, $response);
        }
        if (!is_string($response['state'] ?? null)) {
            throw new ServiceUnavailable("The server at $this->url is not a Bulkhead API: check the URL.");
        }

        return new RenderStatus(
            $job,
            $response['state'],
            (int) ($response['progress']['percent'] ?? 0),
            (string) ($response['progress']['stage'] ?? ''),
            $response['error']['detail'] ?? null,
            array_map(fn (string $path): string => $this->url . $path, $response['links'] ?? []),
            $response,
        );
    }

    private function statusOfUnknown(string $job, ?float $publishedAt): ?RenderStatus
    {
        $isRecent = $publishedAt !== null && ($this->clock)() - $publishedAt < $this->gracePeriod;

        return $isRecent ? new RenderStatus($job, 'queued') : null;
    }
}
