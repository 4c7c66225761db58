<?php

/** sensor.php URL PLANT: does what it reads with the cache, a line of JSON each, [method, argument...]; answers each. */

declare(strict_types=1);

require __DIR__ . '/../../../bridge/php/autoload.php';

use Bulkhead\Beat;
use Bulkhead\SensorCache;

$cache = SensorCache::connect($argv[1], $argv[2]);
while (($line = fgets(STDIN)) !== false) {
    [$method, $arguments] = json_decode($line, true)['call'];
    $answer = match ($method) {
        'set' => $cache->set($arguments['machine'], new Beat(...$arguments)),
        'get' => $cache->get($arguments),
        'all' => $cache->all(),
        'delete' => $cache->delete($arguments),
    };
    echo json_encode($answer), "\n";
}
