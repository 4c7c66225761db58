<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\Invalid;
use Bulkhead\Exception\Refused;
use Bulkhead\Exception\ServiceUnavailable;

/**
 * Asks the HTTP intake what became of a render:
 *
 *     $status = new Status('https://bulkhead.example.com', $token);
 *     $now = $status->of($job, publishedAt: $row['published_at']);
 *     if ($now?->succeeded()) { … $now->links['preview'] … }
 *
 * A render that was published straight to the broker is unknown to the platform until a worker takes it. So within the
 * grace time after it was published, "unknown" is told as `queued`.
 */
final class Status
{
    /** Seconds. A queue that is longer than this has the render's page say "unknown" for a while. */
    public const GRACE = 3600.0;

    private readonly string $url;

    private readonly Http $http;

    private readonly \Closure $clock;

    /**
     * @param string $url address of the intake
     * @param string|null $token the tenant's bearer token; null where only loopback is served
     * @param float $grace seconds after publishing for which an unknown render is told as queued
     * @param float $timeout seconds that a request may take in all
     * @param callable(): float|null $clock seconds since 1970
     */
    public function __construct(
        string $url,
        #[\SensitiveParameter] private readonly ?string $token = null,
        private readonly float $grace = self::GRACE,
        float $timeout = 5.0,
        ?Http $http = null,
        ?callable $clock = null,
    ) {
        $this->url = rtrim($url, '/');
        $this->http = $http ?? new Http($timeout);
        $this->clock = $clock === null ? static fn (): float => microtime(true) : $clock(...);
    }

    /**
     * @param float|null $publishedAt when it was published, in seconds since 1970; null if that is not known
     * @return RenderStatus|null null if there is no such render
     * @throws Invalid
     * @throws Refused
     * @throws ServiceUnavailable
     */
    public function of(string $job, ?float $publishedAt = null): ?RenderStatus
    {
        if (!Uuid::isOne($job)) {
            throw new Invalid("A job's id must be a UUID in lower case with hyphens.");
        }
        [$code, $answer] = $this->http->request("$this->url/renders/$job", Intake::authorization($this->token));
        if ($code === 404) {
            return $this->unknown($job, $publishedAt);
        }
        if ($code !== 200) {
            throw new Refused($code, $answer);
        }
        if (!is_string($answer['state'] ?? null)) {
            throw new ServiceUnavailable("What answers at $this->url is not Bulkhead's intake: check the address.");
        }

        return new RenderStatus(
            $job,
            $answer['state'],
            (int) ($answer['progress']['percent'] ?? 0),
            (string) ($answer['progress']['stage'] ?? ''),
            $answer['error']['detail'] ?? null,
            array_map(fn (string $path): string => $this->url . $path, $answer['links'] ?? []),
            $answer,
        );
    }

    private function unknown(string $job, ?float $publishedAt): ?RenderStatus
    {
        $young = $publishedAt !== null && ($this->clock)() - $publishedAt < $this->grace;

        return $young ? new RenderStatus($job, 'queued') : null;
    }
}
