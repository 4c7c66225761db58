<?php

/**
 * Accepts a drawing from a form (field `blueprint`, and render options by name), submits it to Bulkhead and answers 202
 * with the URL of its status. PHP neither parses the drawing nor loads it into memory.
 *
 * Set in the PHP-FPM pool: BULKHEAD_TENANT, BULKHEAD_BROKER_URL and BULKHEAD_STORE_URL (a directory that PHP shares with
 * the workers). Without a shared directory, set BULKHEAD_API_URL and BULKHEAD_TOKEN instead. Put `upload_tmp_dir` on the
 * file system of the store, so that the upload is renamed, not copied.
 *
 * This example does not check permissions: authorize the user before accepting an upload.
 */

declare(strict_types=1);

require __DIR__ . '/../autoload.php';

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Exception\NotConfirmed;
use Bulkhead\Exception\PublishFailed;
use Bulkhead\Exception\RequestRejected;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\HttpRenderClient;
use Bulkhead\LocalStore;
use Bulkhead\Render;
use Bulkhead\RenderClient;
use Bulkhead\RenderOptions;
use Bulkhead\Support\Text;
use Bulkhead\Support\Uuid;

/** Value of `Retry-After`, seconds. */
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

/** Sends an error in the format of RFC 9457 and exits. */
function problem(int $status, string $title, string $detail): never
{
    if ($status === 503) {
        header('Retry-After: ' . RETRY_AFTER);
    }
    answer($status, ['title' => $title, 'status' => $status, 'detail' => $detail], 'application/problem+json');
}

/** @return array{string, string} temporary path of the upload and the file name that the user gave */
function receiveUpload(): array
{
    if (($_SERVER['REQUEST_METHOD'] ?? '') !== 'POST') {
        header('Allow: POST');
        problem(405, 'Method Not Allowed', 'Send the drawing by POST.');
    }
    $file = $_FILES['blueprint'] ?? null;
    $error = is_array($file) && is_int($file['error']) ? $file['error'] : UPLOAD_ERR_NO_FILE;
    $isForm = str_starts_with($_SERVER['CONTENT_TYPE'] ?? '', 'multipart/form-data');
    $isTruncated = $isForm && $_POST === [] && $_FILES === [];  // PHP discards a form larger than post_max_size
    if ($isTruncated || $error === UPLOAD_ERR_INI_SIZE || $error === UPLOAD_ERR_FORM_SIZE) {
        $limit = ini_get('upload_max_filesize');
        problem(413, 'Content Too Large', "The drawing exceeds the upload limit of $limit.");
    }
    if ($error === UPLOAD_ERR_NO_FILE || $error === UPLOAD_ERR_PARTIAL) {
        problem(400, 'Bad Request', 'Send one complete drawing in the form field `blueprint`.');
    }
    if ($error !== UPLOAD_ERR_OK) {
        problem(503, 'Service Unavailable', 'The server could not save the drawing: try again later.');
    }

    return [$file['tmp_name'], Text::filename($file['name'])];
}

/** Returns the job's id once the drawing is accepted durably. */
function submit(string $path, string $filename, RenderOptions $options): string
{
    $url = (string) getenv('BULKHEAD_API_URL');
    if ($url !== '') {
        $token = getenv('BULKHEAD_TOKEN') ?: null;

        return (new HttpRenderClient($url, $token))->submit($path, $filename, $options, Uuid::random());
    }
    $header = $_SERVER['HTTP_TRACEPARENT'] ?? '';
    $traceparent = Text::matches($header, Render::PATTERNS['traceparent']) ? $header : null;
    $render = new Render((string) getenv('BULKHEAD_TENANT'), null, $filename, $options, $traceparent);
    $store = new LocalStore((string) getenv('BULKHEAD_STORE_URL'));
    $store->moveUpload($render->source, $path);
    try {
        return (new RenderClient((string) getenv('BULKHEAD_BROKER_URL')))->submit($render);
    } catch (PublishFailed $error) {
        if (!$error instanceof NotConfirmed) {  // an unconfirmed message may already be with a worker
            $store->delete($render->source);
        }
        throw $error;
    }
}

try {
    [$path, $filename] = receiveUpload();
    $job = submit($path, $filename, RenderOptions::fromForm($_POST));
    header("Location: /renders/$job");
    header('Retry-After: 1');
    answer(202, ['id' => $job, 'state' => 'queued', 'links' => ['self' => "/renders/$job"]]);
} catch (InvalidRequest $error) {
    problem(422, 'Unprocessable Content', $error->getMessage());
} catch (RequestRejected $error) {
    problem($error->getCode(), 'Rejected', $error->problem['detail'] ?? $error->getMessage());
} catch (PublishFailed | ServiceUnavailable $error) {
    error_log($error->getMessage());
    problem(503, 'Service Unavailable', 'The drawing was not accepted: try again in a moment.');
}
