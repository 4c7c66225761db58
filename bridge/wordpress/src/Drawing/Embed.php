<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Drawing;

use Bulkhead\WordPress\Plugin;
use Bulkhead\WordPress\Settings;

/** Embeds the viewer in posts, by the shortcode `[bulkhead_drawing id="7" height="600"]` or by a block. */
final class Embed
{
    public function __construct(private readonly string $file)
    {
    }

    public function register(): void
    {
        add_shortcode(PostReferences::SHORTCODE, fn (mixed $attributes): string => $this->render(is_array($attributes) ? $attributes : []));
        add_action('init', $this->registerBlock(...));
    }

    private function registerBlock(): void
    {
        $script = plugins_url('assets/block.js', $this->file);
        $dependencies = ['wp-blocks', 'wp-element', 'wp-block-editor', 'wp-components'];
        wp_register_script('bulkhead-block', $script, $dependencies, Plugin::VERSION, true);
        register_block_type(PostReferences::BLOCK, [
            'api_version' => 2,
            'attributes' => ['id' => ['type' => 'integer'], 'height' => ['type' => 'integer']],
            'editor_script' => 'bulkhead-block',
            'render_callback' => fn (array $attributes): string => $this->render($attributes),
        ]);
    }

    /**
     * Returns an iframe. Permissions are checked when the frame is loaded, so the page may be cached.
     *
     * @param array<string, mixed> $attributes
     */
    private function render(array $attributes): string
    {
        $drawing = Drawing::find(absint($attributes['id'] ?? 0));
        if ($drawing === null) {
            return current_user_can('edit_posts') ? '<p>There is no drawing with this id.</p>' : '';
        }
        $height = Settings::fromArray(['height' => $attributes['height'] ?? Settings::stored()->height])->height;

        return sprintf(
            '<iframe class="bulkhead-drawing" src="%s" title="%s" height="%d" style="width:100%%;border:0" loading="lazy" '
            . 'referrerpolicy="no-referrer"></iframe>',
            esc_url($drawing->url(Endpoints::VIEW, (int) get_the_ID())),
            esc_attr('Drawing ' . get_the_title($drawing->id)),
            $height,
        );
    }
}
