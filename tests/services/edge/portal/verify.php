<?php

/** verify.php SECRET: verifies webhooks, a line of JSON each with body and headers; answers each with its id or error. */

declare(strict_types=1);

require __DIR__ . '/../../../bridge/php/autoload.php';

use Bulkhead\Exception\ForgedWebhook;
use Bulkhead\Webhook;

$webhook = new Webhook($argv[1]);
while (($line = fgets(STDIN)) !== false) {
    $sent = json_decode($line, true);
    try {
        echo json_encode(['event' => $webhook->verify($sent['body'], $sent['headers'])]), "\n";
    } catch (ForgedWebhook $error) {
        echo json_encode(['said' => $error->getMessage()]), "\n";
    }
}
