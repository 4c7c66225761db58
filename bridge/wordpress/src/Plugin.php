<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\WordPress\Admin\MediaLibrary;
use Bulkhead\WordPress\Admin\SettingsPage;
use Bulkhead\WordPress\Drawing\AttachmentAccess;
use Bulkhead\WordPress\Drawing\Embed;
use Bulkhead\WordPress\Drawing\Endpoints;
use Bulkhead\WordPress\Upload\UploadHandler;

/** Registers the hooks of the plugin. */
final class Plugin
{
    public const VERSION = '0.1.0';

    /** @param string $file the plugin's main file */
    public function __construct(private readonly string $file)
    {
    }

    public function register(): void
    {
        $configuration = Configuration::from(Configuration::read(...));
        $platform = new PlatformClient($configuration);
        (new UploadHandler($platform, $configuration))->register();
        (new MediaLibrary($platform, $this->file))->register();
        (new Endpoints($platform))->register();
        (new AttachmentAccess())->register();
        (new Embed($this->file))->register();
        (new SettingsPage($platform, $configuration))->register();
    }
}
