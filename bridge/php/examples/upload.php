<?php

/**
 * Takes a drawing from a form (fields: `blueprint`, and render options by name), hands it to Bulkhead and answers 202
 * with the address of its status. PHP never looks into it, and holds no more than a buffer of it in memory.
 *
 * Set in the pool: BULKHEAD_BROKER_URL and BULKHEAD_STORE_URL (a directory that workers share with PHP), or
 * BULKHEAD_INTAKE_URL and BULKHEAD_TOKEN where they share none; BULKHEAD_TENANT. Let `upload_tmp_dir` be on the store's
 * disk: the drawing is then renamed into place.
 *
 * Who may upload is your portal's own question: ask it first.
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use Bulkhead\Exception\Invalid;
use Bulkhead\Exception\NotConfirmed;
use Bulkhead\Exception\NotPublished;
use Bulkhead\Exception\Refused;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\Intake;
use Bulkhead\LocalStore;
use Bulkhead\Render;
use Bulkhead\RenderClient;
use Bulkhead\RenderOptions;
use Bulkhead\Text;
use Bulkhead\Uuid;

/** Seconds after which it is worth trying again. */
const RETRY_AFTER = 5;

/** @param array<string, mixed> $fields */
function answer(int $status, array $fields, string $type = 'application/json'): never
{
    http_response_code($status);
    header("Content-Type: $type");
    header('Cache-Control: no-store');
    echo json_encode($fields, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
    exit;
}

/** An error as RFC 9457 has it. */
function problem(int $status, string $title, string $detail): never
{
    if ($status === 503) {
        header('Retry-After: ' . RETRY_AFTER);
    }
    answer($status, ['title' => $title, 'status' => $status, 'detail' => $detail], 'application/problem+json');
}

/** @return array{string, string} where PHP put the drawing, and what the user calls it */
function received(): array
{
    if (($_SERVER['REQUEST_METHOD'] ?? '') !== 'POST') {
        header('Allow: POST');
        problem(405, 'Method Not Allowed', 'Send the drawing by POST.');
    }
    $file = $_FILES['blueprint'] ?? null;
    $error = is_array($file) && is_int($file['error']) ? $file['error'] : UPLOAD_ERR_NO_FILE;
    $form = str_starts_with($_SERVER['CONTENT_TYPE'] ?? '', 'multipart/form-data');
    $overflown = $form && $_POST === [] && $_FILES === [];  // PHP drops all of a form beyond post_max_size
    if ($overflown || $error === UPLOAD_ERR_INI_SIZE || $error === UPLOAD_ERR_FORM_SIZE) {
        $most = ini_get('upload_max_filesize');
        problem(413, 'Content Too Large', "The drawing is larger than is taken here, which is $most.");
    }
    if ($error === UPLOAD_ERR_NO_FILE || $error === UPLOAD_ERR_PARTIAL) {
        problem(400, 'Bad Request', 'Send one drawing, whole, as the field `blueprint` of a form.');
    }
    if ($error !== UPLOAD_ERR_OK) {
        problem(503, 'Service Unavailable', 'The drawing could not be kept here: try again later.');
    }

    return [$file['tmp_name'], Text::filename($file['name'])];
}

/** The job's id, once the drawing is accepted durably. */
function accept(string $path, string $filename, RenderOptions $options): string
{
    $intake = (string) getenv('BULKHEAD_INTAKE_URL');
    if ($intake !== '') {
        $token = getenv('BULKHEAD_TOKEN') ?: null;

        return (new Intake($intake, $token))->submit($path, $filename, $options, Uuid::random());
    }
    $trace = $_SERVER['HTTP_TRACEPARENT'] ?? '';
    $trace = Text::matches($trace, Render::PATTERNS['traceparent']) ? $trace : null;
    $render = new Render((string) getenv('BULKHEAD_TENANT'), null, $filename, $options, $trace);
    $store = new LocalStore((string) getenv('BULKHEAD_STORE_URL'));
    $store->takeUpload($render->source, $path);
    try {
        return (new RenderClient((string) getenv('BULKHEAD_BROKER_URL')))->submit($render);
    } catch (NotPublished $error) {
        if (!$error instanceof NotConfirmed) {  // else a worker may be at it
            $store->delete($render->source);
        }
        throw $error;
    }
}

try {
    [$path, $filename] = received();
    $job = accept($path, $filename, RenderOptions::fromForm($_POST));
    header("Location: /renders/$job");
    header('Retry-After: 1');
    answer(202, ['id' => $job, 'state' => 'queued', 'links' => ['self' => "/renders/$job"]]);
} catch (Invalid $error) {
    problem(422, 'Unprocessable Content', $error->getMessage());
} catch (Refused $error) {
    problem($error->getCode(), 'Refused', $error->problem['detail'] ?? $error->getMessage());
} catch (NotPublished | ServiceUnavailable $error) {
    error_log($error->getMessage());
    problem(503, 'Service Unavailable', 'The drawing was not accepted: try again in a moment.');
}
