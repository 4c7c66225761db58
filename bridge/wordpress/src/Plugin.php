<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

/** What hangs where. */
final class Plugin
{
    public const VERSION = '0.1.0';

    /** @param string $file the plugin's main file */
    public function __construct(private readonly string $file)
    {
    }

    public function register(): void
    {
        $configuration = Configuration::from(Configuration::named(...));
        $platform = new Platform($configuration);
        (new Upload($platform, $configuration))->register();
        (new Media($platform, $this->file))->register();
        (new Endpoints($platform))->register();
        (new Privacy())->register();
        (new Embed($this->file))->register();
        (new SettingsPage($platform, $configuration))->register();
    }
}
