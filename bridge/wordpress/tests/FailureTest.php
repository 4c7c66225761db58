<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Tests;

use Bulkhead\Exception\BrokerUnavailable;
use Bulkhead\Exception\Invalid;
use Bulkhead\Exception\Refused;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\WordPress\Failure;
use PHPUnit\Framework\TestCase;

final class FailureTest extends TestCase
{
    private const LATER = 'The drawing was not accepted, because the service that draws is busy or away. Keep your file and '
        . 'send it again in a minute; if this goes on, tell who looks after this site: the reason is in its log.';

    public function testASickServiceIsToldWithoutItsAddress(): void
    {
        $sick = [BrokerUnavailable::because('10.0.0.7:5672: refused'), new ServiceUnavailable('/srv/store'), new Refused(429, []), new Refused(401, [])];
        foreach ($sick as $error) {
            self::assertSame(self::LATER, Failure::sentence($error, operator: false));
        }
    }

    public function testAnOperatorIsToldWhy(): void
    {
        $sentence = Failure::sentence(BrokerUnavailable::because('10.0.0.7:5672: refused'), operator: true);

        self::assertStringStartsWith('The drawing was not accepted. The broker cannot be reached: nothing was sent. Check its URL', $sentence);
        self::assertStringEndsWith('(10.0.0.7:5672: refused)', $sentence);
    }

    public function testWhatIsWrongWithTheDrawingIsToldToAnybody(): void
    {
        self::assertSame('It has no layers.', Failure::sentence(new Refused(422, ['detail' => 'It has no layers.']), operator: false));
        self::assertSame('Too wide.', Failure::sentence(new Invalid('Too wide.'), operator: false));
    }
}
