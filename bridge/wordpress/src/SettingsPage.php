<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\Exception\BridgeException;
use Bulkhead\RenderOptions;
use Bulkhead\Uuid;

/** Settings > Bulkhead: how drawings are drawn, what of the connection is set, and a try of it. */
final class SettingsPage
{
    public const SLUG = 'bulkhead';
    private const CHECK = 'bulkhead_check';

    /** @var array{string, string}|null what a try of the connection came to: kind of notice, and its words */
    private ?array $tried = null;

    public function __construct(private readonly Platform $platform, private readonly Configuration $configuration)
    {
    }

    public function register(): void
    {
        add_action('admin_menu', $this->menu(...));
        add_action('admin_init', $this->fields(...));
    }

    private function menu(): void
    {
        $page = add_options_page('Bulkhead', 'Bulkhead', 'manage_options', self::SLUG, $this->page(...));
        add_action("load-$page", $this->tryIfAsked(...));
    }

    private function fields(): void
    {
        register_setting(self::SLUG, Settings::OPTION, [
            'type' => 'object',
            'sanitize_callback' => static fn (mixed $given): array => Settings::of($given)->toArray(),
        ]);
        add_settings_section('drawings', 'Drawings', '__return_null', self::SLUG);
        $now = Settings::stored();
        [, $least, $most] = RenderOptions::RULES['width'];
        $this->field('width', 'Width of the preview', self::number('width', $now->width, $least, $most) . ' pixels');
        $this->field('background', 'Background', self::choice('background', $now->background));
        $this->field('height', 'Height in a post', self::number('height', $now->height, ...Settings::HEIGHTS) . ' pixels');
        $tick = sprintf('<input type="checkbox" id="delete_drawings" name="%s[delete_drawings]" value="1"%s>', Settings::OPTION, checked($now->deleteDrawings, true, false));
        $this->field('delete_drawings', 'When the plugin is deleted', "$tick delete all drawings, too, here and in Bulkhead");
    }

    private function field(string $name, string $title, string $html): void
    {
        $write = static function () use ($html): void {
            echo $html;     // made below, from numbers and our own words
        };
        add_settings_field($name, $title, $write, self::SLUG, 'drawings', ['label_for' => $name]);
    }

    private function page(): void
    {
        echo '<div class="wrap"><h1>Bulkhead</h1>';
        $this->connection();
        echo '<form method="post" action="options.php">';
        settings_fields(self::SLUG);
        do_settings_sections(self::SLUG);
        submit_button();
        echo '</form></div>';
    }

    private function connection(): void
    {
        echo '<h2>Connection</h2><p>Set by constants in <code>wp-config.php</code>, or by variables of the PHP pool.</p>';
        echo '<table class="widefat striped" style="max-width:60em"><tbody>';
        foreach (Configuration::NAMES as $name => $purpose) {
            $value = Configuration::named($name);
            $secret = in_array($name, Configuration::SECRETS, true);
            $shown = $value === null ? '–' : ($secret ? 'is set' : $value);
            printf('<tr><th><code>%s</code></th><td>%s</td><td>%s</td></tr>', esc_html($name), esc_html($purpose), esc_html($shown));
        }
        echo '</tbody></table>';
        foreach ($this->configuration->problems() as $problem) {
            printf('<div class="notice notice-error inline"><p>%s</p></div>', esc_html($problem));
        }
        $check = wp_nonce_url(menu_page_url(self::SLUG, false) . '&check=1', self::CHECK);
        printf('<p><a class="button" href="%s">Try the connection</a></p>', esc_url($check));
        if ($this->tried !== null) {
            vprintf('<div class="notice notice-%s inline"><p>%s</p></div>', array_map(esc_html(...), $this->tried));
        }
    }

    private function tryIfAsked(): void
    {
        if (!isset($_GET['check']) || !check_admin_referer(self::CHECK)) {
            return;
        }
        try {
            $this->platform->status(Uuid::random(), 0.0);
            $this->tried = ['success', 'The platform answers, and knows this site.'];
        } catch (BridgeException $error) {
            $this->tried = ['error', $error->getMessage()];
        }
    }

    private static function number(string $name, int $value, int $least, int $most): string
    {
        $option = Settings::OPTION;

        return "<input type=\"number\" id=\"$name\" name=\"{$option}[$name]\" value=\"$value\" min=\"$least\" max=\"$most\">";
    }

    private static function choice(string $name, string $value): string
    {
        $html = sprintf('<select id="%1$s" name="%2$s[%1$s]">', $name, Settings::OPTION);
        foreach (array_slice(RenderOptions::RULES[$name], 1) as $known) {
            $html .= sprintf('<option%s>%s</option>', selected($value, $known, false), $known);
        }

        return "$html</select>";
    }
}
