<?php

/** sensor.php URL PLANT: reads calls of the cache, a JSON line {"call": [method, arguments]} each; prints each result. */

declare(strict_types=1);

require __DIR__ . '/../../../../bridge/php/autoload.php';

use Bulkhead\Beat;
use Bulkhead\SensorCache;

$cache = SensorCache::connect($argv[1], $argv[2]);
while (($line = fgets(STDIN)) !== false) {
    [$method, $arguments] = json_decode($line, true)['call'];
    $result = match ($method) {
        'set' => $cache->set($arguments['machine'], new Beat(...$arguments)),
        'get' => $cache->get($arguments),
        'all' => $cache->all(),
        'delete' => $cache->delete($arguments),
    };
    echo json_encode($result), "\n";
}
