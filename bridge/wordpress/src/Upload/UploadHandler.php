<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Upload;

use Bulkhead\Exception\BulkheadException;
use Bulkhead\WordPress\Configuration;
use Bulkhead\WordPress\Drawing\Drawing;
use Bulkhead\WordPress\PlatformClient;
use Bulkhead\WordPress\Settings;

/**
 * Diverts uploaded drawings to the platform, whether they come from the media library, the post editor or REST.
 *
 * The file stays in PHP's temporary folder until WordPress has validated the upload. Then it is submitted to the platform,
 * and WordPress records a path below `bulkhead/` in its uploads folder at which no file exists.
 */
final class UploadHandler
{
    private const FOLDER = 'bulkhead';

    private const NOT_CONFIGURED = 'Drawings cannot be uploaded because Bulkhead is not configured. ';

    /** @var array{name: string, tmp_name: string}|null the upload in progress */
    private ?array $file = null;

    /** @var array<string, array{string, float}> job and time of publishing of each submitted drawing, by path below the uploads folder */
    private array $submitted = [];

    public function __construct(private readonly PlatformClient $platform, private readonly Configuration $configuration)
    {
    }

    public function register(): void
    {
        add_filter('upload_mimes', static fn (array $mimes): array => FileType::mimeTypes() + $mimes);
        add_filter('wp_check_filetype_and_ext', $this->checkType(...), 10, 3);
        add_filter('wp_handle_upload_prefilter', $this->validate(...));
        add_filter('wp_handle_sideload_prefilter', $this->validate(...));
        add_filter('pre_move_uploaded_file', $this->preventMove(...), 10, 2);
        add_filter('wp_handle_upload', $this->submit(...));
        add_filter('wp_upload_bits', $this->rejectBits(...));
        add_action('add_attachment', $this->saveJob(...));
        add_filter('fallback_intermediate_image_sizes', fn (array $sizes): array => $this->submitted === [] ? $sizes : []);
    }

    /**
     * Overrides the detection of WordPress, which takes a DXF for plain text.
     *
     * @param array<string, mixed> $types
     * @return array<string, mixed>
     */
    private function checkType(array $types, string $path, string $name): array
    {
        $fileType = FileType::fromFilename($name);
        if ($fileType === null) {
            return $types;
        }
        $isValid = $fileType->matches(self::head($path));
        $extension = strtolower(pathinfo($name, PATHINFO_EXTENSION));

        return ['ext' => $isValid ? $extension : false, 'type' => $isValid ? $fileType->value : false, 'proper_filename' => false];
    }

    /**
     * @param array<string, mixed> $file
     * @return array<string, mixed> with an error message if the upload is rejected
     */
    private function validate(array $file): array
    {
        $fileType = FileType::fromFilename((string) $file['name']);
        if ($fileType === null || !empty($file['error'])) {
            return $file;
        }
        if ($problems = $this->configuration->problems()) {
            $file['error'] = self::NOT_CONFIGURED . (current_user_can('manage_options') ? implode(' ', $problems) : '');
        } elseif ($error = FileName::validate((string) $file['name'])) {
            $file['error'] = $error;
        } elseif (!$fileType->matches(self::head((string) $file['tmp_name']))) {
            $expected = strtoupper($fileType->name);
            $file['error'] = "The content of this file is not $expected: check the file and upload the drawing again.";
        }

        return $file;
    }

    /**
     * @param array<string, mixed> $file
     * @return mixed any value but null prevents WordPress from moving the file
     */
    private function preventMove(mixed $moved, array $file): mixed
    {
        if ($moved !== null || FileType::fromFilename((string) $file['name']) === null) {
            return $moved;
        }
        $this->file = ['name' => (string) $file['name'], 'tmp_name' => (string) $file['tmp_name']];
        set_error_handler(static fn (): bool => true, E_WARNING);   // WordPress calls chmod on the missing file

        return true;
    }

    /**
     * @param array<string, mixed> $upload
     * @return array<string, mixed>
     */
    private function submit(array $upload): array
    {
        if ($this->file === null) {
            return $upload;
        }
        restore_error_handler();
        ['name' => $name, 'tmp_name' => $path] = $this->file;
        $this->file = null;
        try {
            $job = $this->platform->submit($path, $name, Settings::stored()->renderOptions());
        } catch (BulkheadException $error) {
            error_log("Bulkhead: {$error->getMessage()}");

            return ['error' => UploadError::message($error, current_user_can('manage_options'))];
        } finally {
            @unlink($path);
        }
        $relative = self::FOLDER . "/$job/" . sanitize_file_name($name);
        $this->submitted[$relative] = [$job, microtime(true)];

        return ['file' => wp_get_upload_dir()['basedir'] . "/$relative", 'url' => home_url("/?bulkhead=$job")] + $upload;
    }

    /** Rejects drawings from memory (XML-RPC, importers), which WordPress would write to the public uploads folder. */
    private function rejectBits(mixed $bits): mixed
    {
        $isDrawing = is_array($bits) && FileType::fromFilename((string) $bits['name']) !== null;

        return $isDrawing ? 'Drawings can only be uploaded in the media library or over REST.' : $bits;
    }

    private function saveJob(int $attachment): void
    {
        $job = $this->submitted[(string) get_post_meta($attachment, '_wp_attached_file', true)] ?? null;
        if ($job !== null) {
            Drawing::saveJob($attachment, ...$job);
        }
    }

    private static function head(string $path): string
    {
        return (string) @file_get_contents($path, false, null, 0, FileType::HEAD_SIZE);
    }
}
