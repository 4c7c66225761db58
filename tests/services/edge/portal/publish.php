<?php

/**
 * publish.php URL TIMEOUT TRIES: asks for the renders that it reads, a line of JSON each, and answers each with a line:
 * the job's id, or the exception of the last try, and how long each try took.
 */

declare(strict_types=1);

require __DIR__ . '/../../../bridge/php/autoload.php';

use Bulkhead\Exception\BridgeException;
use Bulkhead\Render;
use Bulkhead\RenderClient;
use Bulkhead\RenderOptions;

$client = new RenderClient($argv[1], (float) $argv[2]);
while (($line = fgets(STDIN)) !== false) {
    $asked = json_decode($line, true, 16, JSON_THROW_ON_ERROR);
    $render = new Render(
        $asked['tenant'],
        $asked['source'] ?? null,
        $asked['filename'] ?? '',
        RenderOptions::of($asked['options'] ?? []),
        $asked['traceparent'] ?? null,
        $asked['webhook'] ?? null,
        $asked['job'] ?? null,
    );
    $answer = ['job' => $render->job, 'published' => false, 'seconds' => []];
    for ($try = 0; $try < (int) $argv[3] && !$answer['published']; $try++) {
        if ($try > 0) {
            usleep(200_000);
        }
        $began = hrtime(true);
        try {
            $answer['published'] = $client->submit($render) === $render->job;
        } catch (BridgeException $error) {
            $answer['error'] = (new ReflectionClass($error))->getShortName();
            $answer['said'] = $error->getMessage();
        }
        $answer['seconds'][] = (hrtime(true) - $began) / 1e9;
    }
    echo json_encode($answer, JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}
