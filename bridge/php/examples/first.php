<?php

/** first.php FILE: renders a drawing on the platform that `make up` started and waits for the preview. */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use Bulkhead\LocalStore;
use Bulkhead\Render;
use Bulkhead\RenderClient;
use Bulkhead\RenderOptions;
use Bulkhead\StatusClient;
use Bulkhead\Support\Text;

$path = $argv[1] ?? exit("Usage: php first.php FILE, for example php first.php floorplan.dxf\n");
$render = new Render('local', filename: Text::filename($path), options: new RenderOptions(width: 1024));
(new LocalStore(getenv('BULKHEAD_STORE_URL') ?: 'var/store'))->put($render->source, fopen($path, 'rb'));
echo (new RenderClient(getenv('BULKHEAD_BROKER_URL')))->submit($render), "\n";

$published = microtime(true);
$client = new StatusClient(getenv('BULKHEAD_URL') ?: 'http://127.0.0.1:8080');
do {
    usleep(200_000);
    $status = $client->get($render->job, $published);
    if (!$status->isFinal()) {
        echo $status->state, $status->percent ? " $status->percent % $status->stage" : '', "\n";
    }
} while (!$status->isFinal());
echo $status->state, ': ', $status->links['preview'] ?? $status->error, "\n";
exit($status->succeeded() ? 0 : 1);
