<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Tests\Upload;

use Bulkhead\Exception\BrokerUnavailable;
use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Exception\RequestRejected;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\WordPress\Upload\UploadError;
use PHPUnit\Framework\TestCase;

final class UploadErrorTest extends TestCase
{
    private const TEMPORARY = 'The drawing was not accepted because the rendering service is busy or unavailable. Upload it again '
        . 'in a minute. If the problem persists, contact the administrator of this site; the reason is in the error log.';

    public function testUsersDoNotSeeTheAddressOfAnUnavailableService(): void
    {
        $errors = [BrokerUnavailable::withReason('10.0.0.7:5672: refused'), new ServiceUnavailable('/srv/store'), new RequestRejected(429, []), new RequestRejected(401, [])];
        foreach ($errors as $error) {
            self::assertSame(self::TEMPORARY, UploadError::message($error, isAdministrator: false));
        }
    }

    public function testAdministratorsSeeTheReason(): void
    {
        $message = UploadError::message(BrokerUnavailable::withReason('10.0.0.7:5672: refused'), isAdministrator: true);

        self::assertStringStartsWith('The drawing was not accepted. The broker is unreachable; nothing was published. Check its URL', $message);
        self::assertStringEndsWith('(10.0.0.7:5672: refused)', $message);
    }

    public function testEverybodySeesWhatIsWrongWithTheDrawing(): void
    {
        self::assertSame('It has no layers.', UploadError::message(new RequestRejected(422, ['detail' => 'It has no layers.']), isAdministrator: false));
        self::assertSame('Too wide.', UploadError::message(new InvalidRequest('Too wide.'), isAdministrator: false));
    }
}
