<?php

/**
 * show.php?job=ID: shows the progress of a render, then its preview.
 *
 * The token stays on the server: the browser gets a link that the platform signed and that expires within two hours.
 * Set in the PHP-FPM pool: BULKHEAD_URL, the platform's URL for PHP and for browsers, and BULKHEAD_TOKEN.
 *
 * This example does not check permissions: authorize the user before showing a drawing.
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use Bulkhead\Exception\BulkheadException;
use Bulkhead\Exception\InvalidRequest;
use Bulkhead\StatusClient;

/** Interval between two refreshes of the page, seconds. */
const REFRESH_INTERVAL = 1;

/** Sends a page and exits. `$body` is HTML. */
function page(int $status, string $body, bool $refresh = false): never
{
    http_response_code($status);
    header('Content-Type: text/html; charset=utf-8');
    header('Cache-Control: no-store');
    header('Referrer-Policy: no-referrer');     // the signed link grants access to the preview
    if ($refresh) {
        header('Refresh: ' . REFRESH_INTERVAL);
    }
    echo "<!doctype html>\n<title>Drawing</title>\n$body\n";
    exit;
}

function escape(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

$job = $_GET['job'] ?? '';
try {
    $token = getenv('BULKHEAD_TOKEN') ?: null;
    $status = (new StatusClient((string) getenv('BULKHEAD_URL'), $token))->get(is_string($job) ? $job : '', microtime(true));
} catch (InvalidRequest) {
    page(404, '<p>There is no such drawing.</p>');
} catch (BulkheadException $error) {
    error_log($error->getMessage());
    page(503, '<p>The drawing is temporarily unavailable.</p>', refresh: true);
}
if (!$status->isFinal()) {
    page(200, "<p>$status->state <progress max=\"100\" value=\"$status->percent\">$status->percent %</progress></p>", refresh: true);
}
if (!$status->succeeded()) {
    page(200, '<p>' . escape($status->error ?? "The drawing was $status->state.") . '</p>');
}
page(200, '<img id="preview" alt="Preview" src="' . escape($status->links['preview']) . '">');
