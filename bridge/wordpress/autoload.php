<?php

/**
 * Loads the plugin and the PHP client. The client is in `php`, where `pack.sh` copies it, or in the checkout.
 *
 * php-amqplib (Debian: php-amqplib) is needed only to publish directly to the broker.
 */

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    $client = is_dir(__DIR__ . '/php') ? __DIR__ . '/php' : dirname(__DIR__) . '/php';
    foreach (['Bulkhead\\WordPress\\' => __DIR__ . '/src/', 'Bulkhead\\' => "$client/src/"] as $prefix => $folder) {
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
