<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

use Bulkhead\Exception\Invalid;
use Bulkhead\Exception\Refused;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\Http;
use Bulkhead\RenderStatus;
use Bulkhead\Status;
use PHPUnit\Framework\TestCase;

/** What is made of an answer; the requests themselves are tested against the real intake. */
final class StatusTest extends TestCase
{
    private const JOB = '0b0f7c1e-58a2-4ac5-9c1b-7d6c5a3f2e10';
    private const NOW = 1_764_070_000.0;

    public function testARenderIsTold(): void
    {
        $status = $this->ask(200, [
            'state' => 'running',
            'progress' => ['percent' => 40, 'stage' => 'encode'],
            'error' => null,
            'links' => ['self' => '/renders/' . self::JOB],
        ]);

        self::assertSame(['running', 40, 'encode', null], [$status->state, $status->percent, $status->stage, $status->error]);
        self::assertSame('https://bulkhead.example.com/renders/' . self::JOB, $status->links['self']);
        self::assertFalse($status->isFinal());
    }

    public function testAFailureHasItsSentence(): void
    {
        $status = $this->ask(200, ['state' => 'failed', 'error' => ['code' => 'x', 'detail' => 'It is no drawing.']]);

        self::assertSame([true, false, 'It is no drawing.'], [$status->isFinal(), $status->succeeded(), $status->error]);
    }

    public function testARenderThatNoWorkerHasTakenYetIsQueued(): void
    {
        self::assertSame('queued', $this->ask(404, [], self::NOW - 59)?->state);
        self::assertNull($this->ask(404, [], self::NOW - 61));
        self::assertNull($this->ask(404, []));
    }

    public function testARefusalSaysWhatTheIntakeSaid(): void
    {
        $this->expectException(Refused::class);
        $this->expectExceptionMessage('The intake refused the request: Send a token.');
        $this->expectExceptionCode(401);

        $this->ask(401, ['detail' => 'Send a token.']);
    }

    public function testAnotherServerIsNoIntake(): void
    {
        $this->expectException(ServiceUnavailable::class);
        $this->expectExceptionMessage("What answers at https://bulkhead.example.com is not Bulkhead's intake: check the address.");

        $this->ask(200, []);
    }

    public function testWhatIsNoIdIsNotAskedFor(): void
    {
        $this->expectException(Invalid::class);
        $this->expectExceptionMessage("A job's id must be a UUID in lower case with hyphens.");

        (new Status('https://bulkhead.example.com'))->of('../renders');
    }

    public function testAnIntakeThatIsAwaySaysSo(): void
    {
        $this->expectException(ServiceUnavailable::class);
        $this->expectExceptionMessage('The intake does not answer: check its address and try again.');

        (new Status('http://127.0.0.1:1'))->of(self::JOB);
    }

    /** @param array<string, mixed> $fields */
    private function ask(int $code, array $fields, ?float $publishedAt = null): ?RenderStatus
    {
        $http = new class ($code, $fields) extends Http {
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

        return (new Status('https://bulkhead.example.com/', 'token', 60.0, http: $http, clock: $clock))->of(self::JOB, $publishedAt);
    }
}
