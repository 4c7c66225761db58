<?php

/**
 * show.php?job=ID: a page that tells how far a drawing is, and shows the picture once it is there.
 *
 * The token stays here: the browser gets a link to the picture that the platform has signed, good for an hour or two.
 * Set in the pool: BULKHEAD_URL, the platform's address for PHP and for browsers, and BULKHEAD_TOKEN.
 *
 * Who may see a drawing is your portal's own question: ask it first.
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use Bulkhead\Exception\BridgeException;
use Bulkhead\Exception\Invalid;
use Bulkhead\Status;

/** Seconds after which the page looks again. */
const LOOK_AGAIN = 1;

/** Ends with a page; `$body` is HTML. */
function page(int $status, string $body, bool $again = false): never
{
    http_response_code($status);
    header('Content-Type: text/html; charset=utf-8');
    header('Cache-Control: no-store');
    header('Referrer-Policy: no-referrer');     // the link is a key to the picture
    if ($again) {
        header('Refresh: ' . LOOK_AGAIN);
    }
    echo "<!doctype html>\n<title>Drawing</title>\n$body\n";
    exit;
}

function text(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

$job = $_GET['job'] ?? '';
try {
    $token = getenv('BULKHEAD_TOKEN') ?: null;
    $now = (new Status((string) getenv('BULKHEAD_URL'), $token))->of(is_string($job) ? $job : '', microtime(true));
} catch (Invalid) {
    page(404, '<p>There is no such drawing.</p>');
} catch (BridgeException $error) {
    error_log($error->getMessage());
    page(503, '<p>The drawing cannot be looked up at the moment.</p>', again: true);
}
if (!$now->isFinal()) {
    page(200, "<p>$now->state <progress max=\"100\" value=\"$now->percent\">$now->percent %</progress></p>", again: true);
}
if (!$now->succeeded()) {
    page(200, '<p>' . text($now->error ?? "The drawing was $now->state.") . '</p>');
}
page(200, '<img id="preview" alt="Preview" src="' . text($now->links['preview']) . '">');
