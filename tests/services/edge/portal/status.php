<?php

/** status.php URL: reads jobs, a JSON line each, optionally with the seconds since publishing; prints their status. */

declare(strict_types=1);

require __DIR__ . '/../../../../bridge/php/autoload.php';

use Bulkhead\StatusClient;

$client = new StatusClient($argv[1], gracePeriod: 60.0);
while (($line = fgets(STDIN)) !== false) {
    $request = json_decode($line, true);
    echo json_encode($client->get($request['job'], isset($request['age']) ? microtime(true) - $request['age'] : null)), "\n";
}
