<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Admin;

use Bulkhead\Exception\BulkheadException;
use Bulkhead\WordPress\Drawing\Drawing;
use Bulkhead\WordPress\Drawing\Endpoints;
use Bulkhead\WordPress\Drawing\PostReferences;
use Bulkhead\WordPress\PlatformClient;
use Bulkhead\WordPress\Plugin;

/** Drawings in the media library. Their previews come from the platform; image editors are disabled. */
final class MediaLibrary
{
    /** Nominal width and height of a preview, pixels; WordPress requires a size. */
    private const NOMINAL_SIZE = [300, 225];

    public function __construct(private readonly PlatformClient $platform, private readonly string $file)
    {
    }

    public function register(): void
    {
        add_filter('image_downsize', $this->downsize(...), 10, 3);
        add_filter('wp_get_attachment_url', $this->attachmentUrl(...), 10, 2);
        add_filter('wp_prepare_attachment_for_js', $this->prepareForJs(...), 10, 2);
        add_filter('attachment_fields_to_edit', $this->addFields(...), 10, 2);
        add_filter('wp_image_editors', static fn (array $editors): array => Drawing::find((int) get_the_ID()) ? [] : $editors);
        add_action('wp_edit_form_attachment_display', $this->displayPreview(...));
        add_action('delete_attachment', $this->deleteRender(...));
        add_action('admin_enqueue_scripts', $this->enqueueScript(...));
    }

    /**
     * @param string|int[] $size name of a size, or width and height
     * @return mixed URL, width, height and whether the image is resized
     */
    private function downsize(mixed $image, int $attachment, string|array $size): mixed
    {
        $drawing = Drawing::find($attachment);
        if ($drawing === null) {
            return $image;
        }
        [$width, $height] = is_array($size) ? $size : self::NOMINAL_SIZE;

        return [$drawing->isVisible() ? $drawing->url(Endpoints::PREVIEW) : self::iconUrl(), $width, $height, true];
    }

    private function attachmentUrl(string|false $url, int $attachment): string|false
    {
        return Drawing::find($attachment)?->url(Endpoints::VIEW) ?? $url;
    }

    /**
     * @param array<string, mixed> $data
     * @return array<string, mixed>
     */
    private function prepareForJs(array $data, \WP_Post $attachment): array
    {
        if (Drawing::find($attachment->ID) === null) {
            return $data;
        }
        [$url, $width, $height] = $this->downsize(false, $attachment->ID, 'medium');
        $size = ['url' => $url, 'width' => $width, 'height' => $height, 'orientation' => 'landscape'];

        return ['icon' => $url, 'sizes' => ['full' => $size, 'medium' => $size]] + $data;
    }

    /**
     * @param array<string, mixed> $fields
     * @return array<string, mixed>
     */
    private function addFields(array $fields, \WP_Post $attachment): array
    {
        $drawing = Drawing::find($attachment->ID);
        if ($drawing === null || !$drawing->isVisible()) {
            return $fields;
        }
        $links = [self::link($drawing->url(Endpoints::VIEW), 'View with layers')];
        if ($this->platform->originalPath($drawing->job) !== null) {
            $links[] = self::link($drawing->url(Endpoints::ORIGINAL), 'Download the original');
        }
        $code = '<code>' . esc_html('[' . PostReferences::SHORTCODE . " id=\"$drawing->id\"]") . '</code>';
        $fields['bulkhead'] = [
            'label' => 'Drawing',
            'input' => 'html',
            'html' => implode(' · ', $links) . "<br>Shortcode: $code",
        ];

        return $fields;
    }

    /** Shows the preview of attachments for which WordPress shows none, such as PDF. */
    private function displayPreview(\WP_Post $attachment): void
    {
        $drawing = Drawing::find($attachment->ID);
        if ($drawing !== null && $drawing->isVisible()) {
            printf('<p><img src="%s" alt="" style="max-width:100%%"></p>', esc_url($drawing->url(Endpoints::PREVIEW)));
        }
    }

    private function deleteRender(int $attachment): void
    {
        $drawing = Drawing::find($attachment);
        try {
            $drawing && $this->platform->delete($drawing->job);
        } catch (BulkheadException $error) {
            error_log("Bulkhead: {$error->getMessage()}");  // the platform's retention deletes it later
        }
    }

    private function enqueueScript(): void
    {
        $script = plugins_url('assets/drawings.js', $this->file);
        wp_enqueue_script('bulkhead-drawings', $script, ['wp-api-fetch'], Plugin::VERSION, true);
    }

    private static function iconUrl(): string
    {
        return includes_url('images/media/document.png');
    }

    private static function link(string $url, string $text): string
    {
        return '<a target="_blank" rel="noopener" href="' . esc_url($url) . '">' . esc_html($text) . '</a>';
    }
}
