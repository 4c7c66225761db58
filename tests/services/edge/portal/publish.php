<?php

/**
 * publish.php URL TIMEOUT TRIES: reads render requests, a JSON line each, and submits them. Prints a JSON line for each:
 * the job's id, the exception of the last try if it failed, and the seconds of each try.
 */

declare(strict_types=1);

require __DIR__ . '/../../../../bridge/php/autoload.php';

use Bulkhead\Exception\BulkheadException;
use Bulkhead\Render;
use Bulkhead\RenderClient;
use Bulkhead\RenderOptions;

$client = new RenderClient($argv[1], (float) $argv[2]);
while (($line = fgets(STDIN)) !== false) {
    $request = json_decode($line, true, 16, JSON_THROW_ON_ERROR);
    $render = new Render(
        $request['tenant'],
        $request['source'] ?? null,
        $request['filename'] ?? '',
        RenderOptions::fromArray($request['options'] ?? []),
        $request['traceparent'] ?? null,
        $request['webhook'] ?? null,
        $request['job'] ?? null,
    );
    $result = ['job' => $render->job, 'published' => false, 'seconds' => []];
    for ($try = 0; $try < (int) $argv[3] && !$result['published']; $try++) {
        if ($try > 0) {
            usleep(200_000);
        }
        $started = hrtime(true);
        try {
            $result['published'] = $client->submit($render) === $render->job;
        } catch (BulkheadException $error) {
            $result['error'] = (new ReflectionClass($error))->getShortName();
            $result['message'] = $error->getMessage();
        }
        $result['seconds'][] = (hrtime(true) - $started) / 1e9;
    }
    echo json_encode($result, JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}
