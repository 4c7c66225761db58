<?php

/** first.php FILE: has a drawing rendered by the platform that `make up` runs, and waits for the picture. */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use Bulkhead\LocalStore;
use Bulkhead\Render;
use Bulkhead\RenderClient;
use Bulkhead\RenderOptions;
use Bulkhead\Status;
use Bulkhead\Text;

$path = $argv[1] ?? exit("Say which drawing: php first.php floorplan.dxf\n");
$render = new Render('local', filename: Text::filename($path), options: new RenderOptions(width: 1024));
(new LocalStore(getenv('BULKHEAD_STORE_URL') ?: 'var/store'))->put($render->source, fopen($path, 'rb'));
echo (new RenderClient(getenv('BULKHEAD_BROKER_URL')))->submit($render), "\n";

$published = microtime(true);
$status = new Status(getenv('BULKHEAD_URL') ?: 'http://127.0.0.1:8080');
do {
    usleep(200_000);
    $now = $status->of($render->job, $published);
    if (!$now->isFinal()) {
        echo $now->state, $now->percent ? " $now->percent % $now->stage" : '', "\n";
    }
} while (!$now->isFinal());
echo $now->state, ': ', $now->links['preview'] ?? $now->error, "\n";
exit($now->succeeded() ? 0 : 1);
