<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Exception\RequestRejected;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\RenderStatus;
use Bulkhead\StatusClient;
use Bulkhead\Support\HttpTransport;
use PHPUnit\Framework\TestCase;

/** Handling of responses; the requests are tested against the real API. */
final class StatusClientTest extends TestCase
{
    private const JOB = '0b0f7c1e-58a2-4ac5-9c1b-7d6c5a3f2e10';
    private const NOW = 1_764_070_000.0;

    public function testAResponseIsReturnedAsAStatus(): void
    {
        $status = $this->get(200, [
            'state' => 'running',
            'progress' => ['percent' => 40, 'stage' => 'encode'],
            'error' => null,
            'links' => ['self' => '/renders/' . self::JOB],
        ]);

        self::assertSame(['running', 40, 'encode', null], [$status->state, $status->percent, $status->stage, $status->error]);
        self::assertSame('https://bulkhead.example.com/renders/' . self::JOB, $status->links['self']);
        self::assertFalse($status->isFinal());
    }

    public function testAFailedRenderHasAnErrorMessage(): void
    {
        $status = $this->get(200, ['state' => 'failed', 'error' => ['code' => 'x', 'detail' => 'The file is not a drawing.']]);

        self::assertSame([true, false, 'The file is not a drawing.'], [$status->isFinal(), $status->succeeded(), $status->error]);
    }

    public function testAnUnknownRenderIsQueuedWithinTheGracePeriod(): void
    {
        self::assertSame('queued', $this->get(404, [], self::NOW - 59)?->state);
        self::assertNull($this->get(404, [], self::NOW - 61));
        self::assertNull($this->get(404, []));
    }

    public function testARejectionIncludesTheDetailOfTheResponse(): void
    {
        $this->expectException(RequestRejected::class);
        $this->expectExceptionMessage('The Bulkhead API rejected the request: Send a token.');
        $this->expectExceptionCode(401);

        $this->get(401, ['detail' => 'Send a token.']);
    }

    public function testAnotherServerIsDetected(): void
    {
        $this->expectException(ServiceUnavailable::class);
        $this->expectExceptionMessage("The server at https://bulkhead.example.com is not a Bulkhead API: check the URL.");

        $this->get(200, []);
    }

    public function testAnInvalidIdIsRejectedWithoutARequest(): void
    {
        $this->expectException(InvalidRequest::class);
        $this->expectExceptionMessage("A job id must be a lower-case UUID with hyphens.");

        (new StatusClient('https://bulkhead.example.com'))->get('../renders');
    }

    public function testAnUnreachableServerIsReported(): void
    {
        $this->expectException(ServiceUnavailable::class);
        $this->expectExceptionMessage('The Bulkhead API does not respond: check its URL and try again.');

        (new StatusClient('http://127.0.0.1:1'))->get(self::JOB);
    }

    /** @param array<string, mixed> $fields */
    private function get(int $code, array $fields, ?float $publishedAt = null): ?RenderStatus
    {
        $http = new class ($code, $fields) extends HttpTransport {
            /** @param array<string, mixed> $fields */
            public function __construct(private int $code, private array $fields)
            {
                parent::__construct(1.0);
            }

            public function request(string $url, array $headers, ?array $form = null): array
            {
                return [$this->code, $this->fields];
            }
        };
        $clock = static fn (): float => self::NOW;

        return (new StatusClient('https://bulkhead.example.com/', 'token', 60.0, http: $http, clock: $clock))->get(self::JOB, $publishedAt);
    }
}
