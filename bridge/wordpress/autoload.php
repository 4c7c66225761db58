<?php

/**
 * Loads the plugin and the bridge: from `php` beside this file, where `pack.sh` puts it, or from its checkout.
 *
 * php-amqplib (Debian's package of that name) is needed only where drawings go straight to the broker.
 */

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    $bridge = is_dir(__DIR__ . '/php') ? __DIR__ . '/php' : dirname(__DIR__) . '/php';
    foreach (['Bulkhead\\WordPress\\' => __DIR__ . '/src/', 'Bulkhead\\' => "$bridge/src/"] as $prefix => $folder) {
        if (str_starts_with($class, $prefix)) {
            $file = $folder . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
            if (is_file($file)) {
                require $file;
            }

            return;
        }
    }
});

if (stream_resolve_include_path('PhpAmqpLib/autoload.php') !== false) {
    require_once 'PhpAmqpLib/autoload.php';
}
