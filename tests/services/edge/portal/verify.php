<?php

/** verify.php SECRET: reads webhooks, a JSON line with body and headers each; prints the event or the error message. */

declare(strict_types=1);

require __DIR__ . '/../../../../bridge/php/autoload.php';

use Bulkhead\Exception\WebhookVerificationFailed;
use Bulkhead\WebhookVerifier;

$verifier = new WebhookVerifier($argv[1]);
while (($line = fgets(STDIN)) !== false) {
    $request = json_decode($line, true);
    try {
        echo json_encode(['event' => $verifier->verify($request['body'], $request['headers'])]), "\n";
    } catch (WebhookVerificationFailed $error) {
        echo json_encode(['error' => $error->getMessage()]), "\n";
    }
}
