<?php

/** status.php URL: asks for the jobs that it reads, a line of JSON each, perhaps with seconds since it was published. */

declare(strict_types=1);

require __DIR__ . '/../../../bridge/php/autoload.php';

use Bulkhead\Status;

$status = new Status($argv[1], grace: 60.0);
while (($line = fgets(STDIN)) !== false) {
    $asked = json_decode($line, true);
    echo json_encode($status->of($asked['job'], isset($asked['age']) ? microtime(true) - $asked['age'] : null)), "\n";
}
