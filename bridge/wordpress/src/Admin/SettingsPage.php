<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Admin;

use Bulkhead\Exception\BulkheadException;
use Bulkhead\RenderOptions;
use Bulkhead\Support\Uuid;
use Bulkhead\WordPress\Configuration;
use Bulkhead\WordPress\PlatformClient;
use Bulkhead\WordPress\Settings;

/** Settings > Bulkhead: the settings of drawings, the configured connection, and a test of it. */
final class SettingsPage
{
    public const SLUG = 'bulkhead';
    private const TEST_ACTION = 'bulkhead_test';

    /** @var array{string, string}|null result of the connection test: type of the notice, and its text */
    private ?array $testResult = null;

    public function __construct(private readonly PlatformClient $platform, private readonly Configuration $configuration)
    {
    }

    public function register(): void
    {
        add_action('admin_menu', $this->addMenu(...));
        add_action('admin_init', $this->registerFields(...));
    }

    private function addMenu(): void
    {
        $page = add_options_page('Bulkhead', 'Bulkhead', 'manage_options', self::SLUG, $this->showPage(...));
        add_action("load-$page", $this->testConnection(...));
    }

    private function registerFields(): void
    {
        register_setting(self::SLUG, Settings::OPTION, [
            'type' => 'object',
            'sanitize_callback' => static fn (mixed $input): array => Settings::fromArray($input)->toArray(),
        ]);
        add_settings_section('drawings', 'Drawings', '__return_null', self::SLUG);
        $settings = Settings::stored();
        [, $minimum, $maximum] = RenderOptions::RULES['width'];
        $this->addField('width', 'Width of the preview', self::numberInput('width', $settings->width, $minimum, $maximum) . ' pixels');
        $this->addField('background', 'Background', self::select('background', $settings->background));
        $this->addField('height', 'Height in posts', self::numberInput('height', $settings->height, ...Settings::HEIGHT_LIMITS) . ' pixels');
        $checkbox = sprintf('<input type="checkbox" id="delete_drawings" name="%s[delete_drawings]" value="1"%s>', Settings::OPTION, checked($settings->deleteDrawings, true, false));
        $this->addField('delete_drawings', 'When the plugin is deleted', "$checkbox delete all drawings from WordPress and from Bulkhead");
    }

    private function addField(string $name, string $title, string $html): void
    {
        $print = static function () use ($html): void {
            echo $html;     // generated below from numbers and constants
        };
        add_settings_field($name, $title, $print, self::SLUG, 'drawings', ['label_for' => $name]);
    }

    private function showPage(): void
    {
        echo '<div class="wrap"><h1>Bulkhead</h1>';
        $this->showConnection();
        echo '<form method="post" action="options.php">';
        settings_fields(self::SLUG);
        do_settings_sections(self::SLUG);
        submit_button();
        echo '</form></div>';
    }

    private function showConnection(): void
    {
        echo '<h2>Connection</h2><p>Configured by constants in <code>wp-config.php</code> or environment variables of the PHP-FPM pool.</p>';
        echo '<table class="widefat striped" style="max-width:60em"><tbody>';
        foreach (Configuration::NAMES as $name => $purpose) {
            $value = Configuration::read($name);
            $isSecret = in_array($name, Configuration::SECRETS, true);
            $text = $value === null ? '–' : ($isSecret ? 'set' : $value);
            printf('<tr><th><code>%s</code></th><td>%s</td><td>%s</td></tr>', esc_html($name), esc_html($purpose), esc_html($text));
        }
        echo '</tbody></table>';
        foreach ($this->configuration->problems() as $problem) {
            printf('<div class="notice notice-error inline"><p>%s</p></div>', esc_html($problem));
        }
        $url = wp_nonce_url(menu_page_url(self::SLUG, false) . '&test=1', self::TEST_ACTION);
        printf('<p><a class="button" href="%s">Test connection</a></p>', esc_url($url));
        if ($this->testResult !== null) {
            vprintf('<div class="notice notice-%s inline"><p>%s</p></div>', array_map(esc_html(...), $this->testResult));
        }
    }

    private function testConnection(): void
    {
        if (!isset($_GET['test']) || !check_admin_referer(self::TEST_ACTION)) {
            return;
        }
        try {
            $this->platform->status(Uuid::random(), 0.0);
            $this->testResult = ['success', 'Connected: the platform accepts the token of this site.'];
        } catch (BulkheadException $error) {
            $this->testResult = ['error', $error->getMessage()];
        }
    }

    private static function numberInput(string $name, int $value, int $minimum, int $maximum): string
    {
        $option = Settings::OPTION;

        return "<input type=\"number\" id=\"$name\" name=\"{$option}[$name]\" value=\"$value\" min=\"$minimum\" max=\"$maximum\">";
    }

    private static function select(string $name, string $value): string
    {
        $html = sprintf('<select id="%1$s" name="%2$s[%1$s]">', $name, Settings::OPTION);
        foreach (array_slice(RenderOptions::RULES[$name], 1) as $choice) {
            $html .= sprintf('<option%s>%s</option>', selected($value, $choice, false), $choice);
        }

        return "$html</select>";
    }
}
