<?php

/** heartbeats.php URL PLANT: sends the batches of beats that it reads, a line of JSON each; answers how many it sent. */

declare(strict_types=1);

require __DIR__ . '/../../../bridge/php/autoload.php';

use Bulkhead\Beat;
use Bulkhead\Heartbeats;

$heartbeats = new Heartbeats($argv[1], $argv[2], 10);
$sent = 0;
while (($line = fgets(STDIN)) !== false) {
    $beats = array_map(static fn (array $fields): Beat => new Beat(...$fields), json_decode($line, true)['beats']);
    $heartbeats->send(...$beats);
    $sent += count($beats);
}
echo $sent, "\n";
