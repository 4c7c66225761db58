<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\LocalStore;
use PHPUnit\Framework\TestCase;

final class LocalStoreTest extends TestCase
{
    private string $root;

    protected function setUp(): void
    {
        $this->root = sys_get_temp_dir() . '/bulkhead-store-' . bin2hex(random_bytes(6));
    }

    protected function tearDown(): void
    {
        if (is_dir($this->root)) {
            $inside = new \RecursiveDirectoryIterator($this->root, \FilesystemIterator::SKIP_DOTS);
            foreach (new \RecursiveIteratorIterator($inside, \RecursiveIteratorIterator::CHILD_FIRST) as $path) {
                $path->isDir() ? rmdir((string) $path) : unlink((string) $path);
            }
            rmdir($this->root);
        }
    }

    public function testAStreamIsStoredCompletelyWithoutTemporaryFiles(): void
    {
        $content = random_bytes(3 * 1024 * 1024 + 1);

        $size = $this->store()->put('sources/acme/2026/plan.dxf', self::stream($content));

        self::assertSame(strlen($content), $size);
        self::assertSame($content, file_get_contents("$this->root/sources/acme/2026/plan.dxf"));
        self::assertSame([], glob("$this->root/.tmp/*"));
    }

    public function testAStreamThatExceedsTheLimitIsRejectedAndLeavesNoFile(): void
    {
        try {
            $this->store()->put('sources/acme/1', self::stream('12345'), 4);
            self::fail('the drawing was accepted');
        } catch (InvalidRequest $error) {
            self::assertSame('The drawing exceeds the limit of 4 bytes.', $error->getMessage());
        }
        self::assertSame([], glob("$this->root/.tmp/*"));
        self::assertFileDoesNotExist("$this->root/sources/acme/1");
    }

    /**
     * @testWith ["../etc/passwd"]
     *           ["sources/acme"]
     *           ["sources/acme/../x"]
     *           ["artifacts/acme/1"]
     *           ["sources/acme/.tmp"]
     */
    public function testAnInvalidKeyIsRejected(string $key): void
    {
        $this->expectException(InvalidRequest::class);
        $this->expectExceptionMessage('A store key must look like sources/<tenant>/<name>.');

        $this->store()->put($key, self::stream('x'));
    }

    public function testAFileThatWasNotUploadedIsRejected(): void
    {
        $this->expectException(InvalidRequest::class);
        $this->expectExceptionMessage('The file was not uploaded in this request.');

        $this->store()->moveUpload('sources/acme/1', __FILE__);
    }

    public function testAnUnwritableStoreSaysWhatToCheck(): void
    {
        $this->expectException(ServiceUnavailable::class);
        $this->expectExceptionMessage('The store is not writable: check that /proc/nowhere exists');

        (new LocalStore('/proc/nowhere'))->put('sources/acme/1', self::stream('x'));
    }

    public function testADrawingIsDeleted(): void
    {
        $this->store()->put('sources/acme/1', self::stream('x'));

        $this->store()->delete('sources/acme/1');
        $this->store()->delete('sources/acme/1');

        self::assertFileDoesNotExist("$this->root/sources/acme/1");
    }

    private function store(): LocalStore
    {
        return new LocalStore($this->root);
    }

    /** @return resource */
    private static function stream(string $content)
    {
        $stream = fopen('php://memory', 'w+b');
        fwrite($stream, $content);
        rewind($stream);

        return $stream;
    }
}
