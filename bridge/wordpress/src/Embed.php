<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

/** The viewer inside a post: `[bulkhead_drawing id="7" height="600"]`, or the block of the same name. */
final class Embed
{
    public function __construct(private readonly string $file)
    {
    }

    public function register(): void
    {
        add_shortcode(Mentions::SHORTCODE, fn (mixed $attributes): string => $this->html(is_array($attributes) ? $attributes : []));
        add_action('init', $this->block(...));
    }

    private function block(): void
    {
        $script = plugins_url('assets/block.js', $this->file);
        $needs = ['wp-blocks', 'wp-element', 'wp-block-editor', 'wp-components'];
        wp_register_script('bulkhead-block', $script, $needs, Plugin::VERSION, true);
        register_block_type(Mentions::BLOCK, [
            'api_version' => 2,
            'attributes' => ['id' => ['type' => 'integer'], 'height' => ['type' => 'integer']],
            'editor_script' => 'bulkhead-block',
            'render_callback' => fn (array $attributes): string => $this->html($attributes),
        ]);
    }

    /**
     * A frame. Whether who reads may see the drawing is asked when the frame is loaded, so that this page may be cached.
     *
     * @param array<string, mixed> $attributes
     */
    private function html(array $attributes): string
    {
        $drawing = Drawing::of(absint($attributes['id'] ?? 0));
        if ($drawing === null) {
            return current_user_can('edit_posts') ? '<p>There is no drawing of this id.</p>' : '';
        }
        $height = Settings::of(['height' => $attributes['height'] ?? Settings::stored()->height])->height;

        return sprintf(
            '<iframe class="bulkhead-drawing" src="%s" title="%s" height="%d" style="width:100%%;border:0" loading="lazy" '
            . 'referrerpolicy="no-referrer"></iframe>',
            esc_url($drawing->url(Endpoints::VIEW, (int) get_the_ID())),
            esc_attr('Drawing ' . get_the_title($drawing->id)),
            $height,
        );
    }
}
