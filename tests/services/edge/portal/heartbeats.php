<?php

/** heartbeats.php URL PLANT: reads batches of beats, a JSON line each, and sends them; prints the number of beats sent. */

declare(strict_types=1);

require __DIR__ . '/../../../../bridge/php/autoload.php';

use Bulkhead\Beat;
use Bulkhead\HeartbeatClient;

$client = new HeartbeatClient($argv[1], $argv[2], 10);
$sent = 0;
while (($line = fgets(STDIN)) !== false) {
    $beats = array_map(static fn (array $fields): Beat => new Beat(...$fields), json_decode($line, true)['beats']);
    $client->send(...$beats);
    $sent += count($beats);
}
echo $sent, "\n";
