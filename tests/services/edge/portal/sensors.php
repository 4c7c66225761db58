<?php

/**
 * sensors.php write URL PLANT MACHINES SECONDS: writes beats continuously, with readings derived from the sequence
 * number; prints the number of writes. sensors.php read URL PLANT SECONDS: reads continuously; prints the number of
 * readings and how many of them mixed two beats.
 */

declare(strict_types=1);

require __DIR__ . '/../../../../bridge/php/autoload.php';

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
        $torn += count(array_filter($readings, static fn (Reading $reading): bool => !isConsistent($reading)));
    }

    return ['readings' => $seen, 'torn' => $torn];
}

function isConsistent(Reading $reading): bool
{
    return [$reading->seenAt, $reading->rpm, $reading->temperature, $reading->vibration]
        === [$reading->seq / 1e3, $reading->seq / 1e3, $reading->seq / 1e4, $reading->seq / 1e5];
}

[, $mode, $url, $plant] = $argv;
$cache = SensorCache::connect($url, $plant);
echo json_encode($mode === 'write' ? write($cache, (int) $argv[4], (float) $argv[5]) : read($cache, (float) $argv[4])), "\n";
