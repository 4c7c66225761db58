<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\Support\Text;

/**
 * The platform's store when it is a directory that PHP can write to. Writes are atomic: a drawing is written below
 * `.tmp`, flushed to disk and renamed to its key.
 *
 * Workers must be able to read the files: put PHP's user and the workers' in one group that owns the directory, and set
 * the directory's mode to 2770.
 */
final class LocalStore
{
    /** Bytes copied at a time; bounds the memory used for a drawing of any size. */
    private const CHUNK = 1024 * 1024;

    private const FILE_MODE = 0640;
    private const DIRECTORY_MODE = 02770;

    public function __construct(private readonly string $directory)
    {
    }

    /**
     * Stores the contents of a stream, such as `php://input`.
     *
     * @param resource $stream
     * @param int $limit maximum size, bytes
     * @return int size, bytes
     * @throws InvalidRequest if the drawing exceeds the limit
     * @throws ServiceUnavailable
     */
    public function put(string $key, $stream, int $limit = PHP_INT_MAX): int
    {
        $temporary = $this->temporaryPath();
        try {
            $file = @fopen($temporary, 'xb') ?: throw $this->writeError();
            $size = $this->copy($stream, $file, $limit);
            $this->publish($temporary, $file, $key);

            return $size;
        } finally {
            @unlink($temporary);
        }
    }

    /**
     * Stores an uploaded file (`$_FILES[…]['tmp_name']`). If `upload_tmp_dir` is on the store's file system, the file is
     * renamed, not copied.
     *
     * @throws InvalidRequest if the file was not uploaded in this request
     * @throws ServiceUnavailable
     */
    public function moveUpload(string $key, string $path): void
    {
        if (!is_uploaded_file($path)) {
            throw new InvalidRequest('The file was not uploaded in this request.');
        }
        $temporary = $this->temporaryPath();
        try {
            if (!@move_uploaded_file($path, $temporary)) {
                throw $this->writeError();
            }
            $file = fopen($temporary, 'r+b') ?: throw $this->writeError();
            $this->publish($temporary, $file, $key);
        } finally {
            @unlink($temporary);
        }
    }

    /** Deletes a drawing if it exists. */
    public function delete(string $key): void
    {
        @unlink($this->path($key));
    }

    private function temporaryPath(): string
    {
        $folder = "$this->directory/.tmp";
        $this->makeDirectory($folder, 0770);

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
                throw $this->writeError();
            }
            if ($size > $limit) {
                throw new InvalidRequest("The drawing exceeds the limit of $limit bytes.");
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
        $this->makeDirectory(dirname($path), self::DIRECTORY_MODE);
        if (!$flushed || !@chmod($temporary, self::FILE_MODE) || !@rename($temporary, $path)) {
            throw $this->writeError();
        }
    }

    private function path(string $key): string
    {
        if (!Text::matches($key, Render::PATTERNS['source'])) {
            throw new InvalidRequest('A store key must look like sources/<tenant>/<name>.');
        }

        return "$this->directory/$key";
    }

    private function makeDirectory(string $directory, int $mode): void
    {
        if (!is_dir($directory) && !@mkdir($directory, $mode, true) && !is_dir($directory)) {
            throw $this->writeError();
        }
    }

    private function writeError(): ServiceUnavailable
    {
        $reason = error_get_last()['message'] ?? 'unknown error';

        return new ServiceUnavailable(
            "The store is not writable: check that $this->directory exists, that PHP's user has write permission, and "
            . "that the disk is not full. ($reason)"
        );
    }
}
