<?php

/**
 * sensors.php write URL PLANT MACHINES SECONDS: sets beats as fast as it can, whose every reading is their number, and
 * answers how many. sensors.php read URL PLANT SECONDS: reads all the time; answers how many readings it saw, and torn
 * ones among them.
 */

declare(strict_types=1);

require __DIR__ . '/../../../bridge/php/autoload.php';

use Bulkhead\Beat;
use Bulkhead\Reading;
use Bulkhead\SensorCache;

function write(SensorCache $cache, int $machines, float $seconds): int
{
    $end = microtime(true) + $seconds;
    for ($count = 0; microtime(true) < $end; $count++) {
        $number = hrtime(true) % 1_000_000_000_000;
        $machine = "press-" . ($count % $machines);
        $cache->set($machine, new Beat($machine, $number, $number / 1e3, 'idle', $number / 1e3, $number / 1e4, $number / 1e5));
    }

    return $count;
}

/** @return array{readings: int, torn: int} */
function read(SensorCache $cache, float $seconds): array
{
    $end = microtime(true) + $seconds;
    $seen = $torn = 0;
    while (microtime(true) < $end) {
        $readings = $cache->all();
        $seen += count($readings);
        $torn += count(array_filter($readings, static fn (Reading $one): bool => !isWhole($one)));
    }

    return ['readings' => $seen, 'torn' => $torn];
}

function isWhole(Reading $one): bool
{
    return [$one->seenAt, $one->rpm, $one->temperature, $one->vibration]
        === [$one->seq / 1e3, $one->seq / 1e3, $one->seq / 1e4, $one->seq / 1e5];
}

[, $what, $url, $plant] = $argv;
$cache = SensorCache::connect($url, $plant);
echo json_encode($what === 'write' ? write($cache, (int) $argv[4], (float) $argv[5]) : read($cache, (float) $argv[4])), "\n";
