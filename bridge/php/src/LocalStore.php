<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\Invalid;
use Bulkhead\Exception\ServiceUnavailable;

/**
 * The platform's store where it is a directory that PHP can write to. A drawing appears under its key whole or not at
 * all: it is written below `.tmp`, flushed to the disk and renamed.
 *
 * Workers must be able to read what PHP writes: let both have a group, and the directory be its (`chmod 2770`).
 */
final class LocalStore
{
    /** Bytes moved at a time, so that a drawing of any size takes no more memory. */
    private const CHUNK = 1024 * 1024;

    private const FILE_MODE = 0640;
    private const DIRECTORY_MODE = 02770;

    public function __construct(private readonly string $directory)
    {
    }

    /**
     * Copies a stream, such as `php://input`, to its end.
     *
     * @param resource $stream
     * @param int $limit bytes; more is refused
     * @return int bytes
     * @throws Invalid if it is longer than the limit
     * @throws ServiceUnavailable
     */
    public function put(string $key, $stream, int $limit = PHP_INT_MAX): int
    {
        $temporary = $this->temporary();
        try {
            $file = @fopen($temporary, 'xb') ?: throw $this->unwritable();
            $size = $this->copy($stream, $file, $limit);
            $this->publish($temporary, $file, $key);

            return $size;
        } finally {
            @unlink($temporary);
        }
    }

    /**
     * Takes a file that PHP has received (`$_FILES[…]['tmp_name']`). With `upload_tmp_dir` on the store's own disk it is
     * renamed, not copied.
     *
     * @throws Invalid if it was not uploaded by this request
     * @throws ServiceUnavailable
     */
    public function takeUpload(string $key, string $path): void
    {
        if (!is_uploaded_file($path)) {
            throw new Invalid('This file was not uploaded by this request.');
        }
        $temporary = $this->temporary();
        try {
            if (!@move_uploaded_file($path, $temporary)) {
                throw $this->unwritable();
            }
            $file = fopen($temporary, 'r+b') ?: throw $this->unwritable();
            $this->publish($temporary, $file, $key);
        } finally {
            @unlink($temporary);
        }
    }

    /** Forgets a drawing; one that is not there is no error. */
    public function delete(string $key): void
    {
        @unlink($this->path($key));
    }

    private function temporary(): string
    {
        $folder = "$this->directory/.tmp";
        $this->make($folder, 0770);

        return "$folder/writing-" . bin2hex(random_bytes(16));
    }

    /**
     * @param resource $source
     * @param resource $target
     */
    private function copy($source, $target, int $limit): int
    {
        $size = 0;
        while (!feof($source)) {
            $size += $copied = stream_copy_to_stream($source, $target, self::CHUNK);
            if ($copied === false) {
                throw $this->unwritable();
            }
            if ($size > $limit) {
                throw new Invalid("The drawing is larger than $limit bytes, the most that is taken.");
            }
        }

        return $size;
    }

    /** @param resource $file */
    private function publish(string $temporary, $file, string $key): void
    {
        $path = $this->path($key);
        $flushed = fflush($file) && fsync($file);
        fclose($file);
        $this->make(dirname($path), self::DIRECTORY_MODE);
        if (!$flushed || !@chmod($temporary, self::FILE_MODE) || !@rename($temporary, $path)) {
            throw $this->unwritable();
        }
    }

    private function path(string $key): string
    {
        if (!Text::matches($key, Render::PATTERNS['source'])) {
            throw new Invalid('A key of the store must look like sources/<tenant>/<name>.');
        }

        return "$this->directory/$key";
    }

    private function make(string $directory, int $mode): void
    {
        if (!is_dir($directory) && !@mkdir($directory, $mode, true) && !is_dir($directory)) {
            throw $this->unwritable();
        }
    }

    private function unwritable(): ServiceUnavailable
    {
        $why = error_get_last()['message'] ?? 'no reason given';

        return new ServiceUnavailable(
            "The store cannot be written: check that $this->directory exists, that PHP's user may write there, and "
            . "that its disk has room. ($why)"
        );
    }
}
