<?php

/** Loads the classes without Composer. php-amqplib must then be on the include path (Debian: php-amqplib). */

declare(strict_types=1);

require_once 'PhpAmqpLib/autoload.php';

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Bulkhead\\')) {
        $file = __DIR__ . '/src/' . strtr(substr($class, 9), '\\', '/') . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
