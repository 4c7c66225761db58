<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\Exception\BridgeException;

/**
 * Takes drawings out of WordPress' way of an upload, wherever it comes from: the media library, a post's editor, REST.
 *
 * The file stays where PHP put it until all of WordPress' own checks have passed. Then it goes to the platform, and
 * WordPress is told of a path below `bulkhead/` in its uploads folder where there is nothing.
 */
final class Upload
{
    private const FOLDER = 'bulkhead';

    private const NOT_SET_UP = 'Bulkhead is not set up here, so drawings cannot be taken. ';

    /** @var array{name: string, tmp_name: string}|null the drawing at hand */
    private ?array $file = null;

    /** @var array<string, array{string, float}> jobs and the times they were published by path below the uploads folder */
    private array $accepted = [];

    public function __construct(private readonly Platform $platform, private readonly Configuration $configuration)
    {
    }

    public function register(): void
    {
        add_filter('upload_mimes', static fn (array $mimes): array => Kind::mimes() + $mimes);
        add_filter('wp_check_filetype_and_ext', $this->type(...), 10, 3);
        add_filter('wp_handle_upload_prefilter', $this->refuse(...));
        add_filter('wp_handle_sideload_prefilter', $this->refuse(...));
        add_filter('pre_move_uploaded_file', $this->keepBack(...), 10, 2);
        add_filter('wp_handle_upload', $this->handOver(...));
        add_filter('wp_upload_bits', $this->refuseBits(...));
        add_action('add_attachment', $this->remember(...));
        add_filter('fallback_intermediate_image_sizes', fn (array $sizes): array => $this->accepted === [] ? $sizes : []);
    }

    /**
     * WordPress' own opinion would be that a DXF is plain text.
     *
     * @param array<string, mixed> $types
     * @return array<string, mixed>
     */
    private function type(array $types, string $path, string $name): array
    {
        $kind = Kind::promisedBy($name);
        if ($kind === null) {
            return $types;
        }
        $is = $kind->isOf(self::head($path));
        $extension = strtolower(pathinfo($name, PATHINFO_EXTENSION));

        return ['ext' => $is ? $extension : false, 'type' => $is ? $kind->value : false, 'proper_filename' => false];
    }

    /**
     * @param array<string, mixed> $file
     * @return array<string, mixed> with a sentence as its error if it is refused
     */
    private function refuse(array $file): array
    {
        $kind = Kind::promisedBy((string) $file['name']);
        if ($kind === null || !empty($file['error'])) {
            return $file;
        }
        if ($problems = $this->configuration->problems()) {
            $file['error'] = self::NOT_SET_UP . (current_user_can('manage_options') ? implode(' ', $problems) : '');
        } elseif ($refusal = Names::refusal((string) $file['name'])) {
            $file['error'] = $refusal;
        } elseif (!$kind->isOf(self::head((string) $file['tmp_name']))) {
            $promised = strtoupper($kind->name);
            $file['error'] = "This file is no $promised, whatever its name says: look what it is and send the drawing itself.";
        }

        return $file;
    }

    /**
     * @param array<string, mixed> $file
     * @return mixed anything but null, and WordPress does not move it
     */
    private function keepBack(mixed $moved, array $file): mixed
    {
        if ($moved !== null || Kind::promisedBy((string) $file['name']) === null) {
            return $moved;
        }
        $this->file = ['name' => (string) $file['name'], 'tmp_name' => (string) $file['tmp_name']];
        set_error_handler(static fn (): bool => true, E_WARNING);   // WordPress sets the mode of a file that is not there

        return true;
    }

    /**
     * @param array<string, mixed> $upload
     * @return array<string, mixed>
     */
    private function handOver(array $upload): array
    {
        if ($this->file === null) {
            return $upload;
        }
        restore_error_handler();
        ['name' => $name, 'tmp_name' => $path] = $this->file;
        $this->file = null;
        try {
            $job = $this->platform->handOver($path, $name, Settings::stored()->options());
        } catch (BridgeException $error) {
            error_log("Bulkhead: {$error->getMessage()}");

            return ['error' => Failure::sentence($error, current_user_can('manage_options'))];
        } finally {
            @unlink($path);
        }
        $relative = self::FOLDER . "/$job/" . sanitize_file_name($name);
        $this->accepted[$relative] = [$job, microtime(true)];

        return ['file' => wp_get_upload_dir()['basedir'] . "/$relative", 'url' => home_url("/?bulkhead=$job")] + $upload;
    }

    /** Whoever brings a drawing as bytes in memory (XML-RPC, importers) would write it below the public folder. */
    private function refuseBits(mixed $bits): mixed
    {
        $drawing = is_array($bits) && Kind::promisedBy((string) $bits['name']) !== null;

        return $drawing ? 'Drawings are taken by the media library and by REST only: upload it there.' : $bits;
    }

    private function remember(int $attachment): void
    {
        $accepted = $this->accepted[(string) get_post_meta($attachment, '_wp_attached_file', true)] ?? null;
        if ($accepted !== null) {
            Drawing::remember($attachment, ...$accepted);
        }
    }

    private static function head(string $path): string
    {
        return (string) @file_get_contents($path, false, null, 0, Kind::HEAD);
    }
}
