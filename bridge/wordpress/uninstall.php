<?php

/** Called by WordPress when the plugin is deleted. */

declare(strict_types=1);

defined('WP_UNINSTALL_PLUGIN') || exit;

require __DIR__ . '/autoload.php';

(new Bulkhead\WordPress\Uninstaller())->uninstall();
