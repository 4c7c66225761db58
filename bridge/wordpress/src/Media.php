<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\Exception\BridgeException;

/** Drawings in the media library. Their pictures come from the platform, and no image editor is ever asked. */
final class Media
{
    /** Pixels, where WordPress wants to know the size of a picture that it has not seen. */
    private const SIZE = [300, 225];

    public function __construct(private readonly Platform $platform, private readonly string $file)
    {
    }

    public function register(): void
    {
        add_filter('image_downsize', $this->picture(...), 10, 3);
        add_filter('wp_get_attachment_url', $this->address(...), 10, 2);
        add_filter('wp_prepare_attachment_for_js', $this->describe(...), 10, 2);
        add_filter('attachment_fields_to_edit', $this->fields(...), 10, 2);
        add_filter('wp_image_editors', static fn (array $editors): array => Drawing::of((int) get_the_ID()) ? [] : $editors);
        add_action('wp_edit_form_attachment_display', $this->display(...));
        add_action('delete_attachment', $this->forget(...));
        add_action('admin_enqueue_scripts', $this->script(...));
    }

    /**
     * @param string|int[] $size a name, or width and height
     * @return mixed address, width, height and whether it is smaller than the original
     */
    private function picture(mixed $picture, int $attachment, string|array $size): mixed
    {
        $drawing = Drawing::of($attachment);
        if ($drawing === null) {
            return $picture;
        }
        [$width, $height] = is_array($size) ? $size : self::SIZE;

        return [$drawing->isOpenTo() ? $drawing->url(Endpoints::PREVIEW) : self::icon(), $width, $height, true];
    }

    private function address(string|false $url, int $attachment): string|false
    {
        return Drawing::of($attachment)?->url(Endpoints::VIEW) ?? $url;
    }

    /**
     * @param array<string, mixed> $shown
     * @return array<string, mixed>
     */
    private function describe(array $shown, \WP_Post $attachment): array
    {
        if (Drawing::of($attachment->ID) === null) {
            return $shown;
        }
        [$url, $width, $height] = $this->picture(false, $attachment->ID, 'medium');
        $size = ['url' => $url, 'width' => $width, 'height' => $height, 'orientation' => 'landscape'];

        return ['icon' => $url, 'sizes' => ['full' => $size, 'medium' => $size]] + $shown;
    }

    /**
     * @param array<string, mixed> $fields
     * @return array<string, mixed>
     */
    private function fields(array $fields, \WP_Post $attachment): array
    {
        $drawing = Drawing::of($attachment->ID);
        if ($drawing === null || !$drawing->isOpenTo()) {
            return $fields;
        }
        $links = [self::link($drawing->url(Endpoints::VIEW), 'Open with its layers')];
        if ($this->platform->original($drawing->job) !== null) {
            $links[] = self::link($drawing->url(Endpoints::ORIGINAL), 'Download the original');
        }
        $code = '<code>' . esc_html('[' . Mentions::SHORTCODE . " id=\"$drawing->id\"]") . '</code>';
        $fields['bulkhead'] = [
            'label' => 'Drawing',
            'input' => 'html',
            'html' => implode(' · ', $links) . "<br>In a post: $code",
        ];

        return $fields;
    }

    /** On the page of an attachment that WordPress itself has no picture for, such as a PDF. */
    private function display(\WP_Post $attachment): void
    {
        $drawing = Drawing::of($attachment->ID);
        if ($drawing !== null && $drawing->isOpenTo()) {
            printf('<p><img src="%s" alt="" style="max-width:100%%"></p>', esc_url($drawing->url(Endpoints::PREVIEW)));
        }
    }

    private function forget(int $attachment): void
    {
        $drawing = Drawing::of($attachment);
        try {
            $drawing && $this->platform->forget($drawing->job);
        } catch (BridgeException $error) {
            error_log("Bulkhead: {$error->getMessage()}");  // the platform forgets it when it is old enough
        }
    }

    private function script(): void
    {
        $script = plugins_url('assets/drawings.js', $this->file);
        wp_enqueue_script('bulkhead-drawings', $script, ['wp-api-fetch'], Plugin::VERSION, true);
    }

    private static function icon(): string
    {
        return includes_url('images/media/document.png');
    }

    private static function link(string $url, string $text): string
    {
        return '<a target="_blank" rel="noopener" href="' . esc_url($url) . '">' . esc_html($text) . '</a>';
    }
}
