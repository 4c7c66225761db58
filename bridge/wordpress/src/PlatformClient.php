<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\Exception\NotConfirmed;
use Bulkhead\Exception\PublishFailed;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\HttpRenderClient;
use Bulkhead\LocalStore;
use Bulkhead\Render;
use Bulkhead\RenderClient;
use Bulkhead\RenderOptions;
use Bulkhead\RenderStatus;
use Bulkhead\StatusClient;
use Bulkhead\Support\Uuid;
use PhpAmqpLib\Message\AMQPMessage;

/** Access to the platform. Throws the exceptions of the PHP client. */
final class PlatformClient
{
    /** Timeout of a request, seconds. */
    private const REQUEST_TIMEOUT = 3.0;

    /** Timeout of an upload over HTTP, seconds; less than the pool's `request_terminate_timeout`. */
    private const UPLOAD_TIMEOUT = 25.0;

    public function __construct(private readonly Configuration $configuration)
    {
    }

    /**
     * Submits a drawing and returns the job's id once it is accepted durably. An upload is moved to the store; any other
     * file is copied.
     */
    public function submit(string $path, string $filename, RenderOptions $options): string
    {
        $configuration = $this->configuration;
        if (!$configuration->sharesStore()) {
            return (new HttpRenderClient($configuration->url, $configuration->token, self::UPLOAD_TIMEOUT))->submit($path, $filename, $options, Uuid::random());
        }
        if (!class_exists(AMQPMessage::class)) {
            throw new ServiceUnavailable('php-amqplib is missing: install it (Debian: php-amqplib).');
        }
        $render = new Render($configuration->tenant, null, $filename, $options);
        $store = new LocalStore($configuration->storeDirectory);
        $this->storeSource($store, $render->source, $path);
        try {
            return (new RenderClient($configuration->brokerUrl))->submit($render);
        } catch (PublishFailed $error) {
            if (!$error instanceof NotConfirmed) {  // an unconfirmed message may already be with a worker
                $store->delete($render->source);
            }
            throw $error;
        }
    }

    /** Returns the status of a job; null if the job is unknown. */
    public function status(string $job, float $publishedAt): ?RenderStatus
    {
        $configuration = $this->configuration;

        return (new StatusClient($configuration->url, $configuration->token, timeout: self::REQUEST_TIMEOUT))->get($job, $publishedAt);
    }

    /** Signed URL of the preview for browsers; expires within two hours. */
    public function previewUrl(RenderStatus $status): string
    {
        return $this->configuration->publicUrl . $status->fields['links']['preview'];
    }

    /** Signed URL of the viewer, which grants access to this render only. */
    public function viewerUrl(RenderStatus $status): string
    {
        parse_str((string) parse_url($status->fields['links']['preview'], PHP_URL_QUERY), $signature);
        $name = ['name' => (string) ($status->fields['filename'] ?? '')];
        $query = http_build_query($name + $signature, '', '&', PHP_QUERY_RFC3986);

        return "{$this->configuration->publicUrl}/viewer/#/drawing/$status->job?$query";
    }

    /** Path of the original drawing on this server; null if the store is not shared. */
    public function originalPath(string $job): ?string
    {
        $path = "{$this->configuration->storeDirectory}/" . Render::sourceKey($this->configuration->tenant, $job);

        return $this->configuration->sharesStore() && is_file($path) ? $path : null;
    }

    /** Deletes a render with its drawing and outputs. An unfinished render is cancelled first. */
    public function delete(string $job): void
    {
        $configuration = $this->configuration;
        $status = $this->requestDelete($job);
        if ($status === 202) {
            $status = $this->requestDelete($job);
        }
        if (!in_array($status, [202, 204, 404], true)) {
            throw new ServiceUnavailable("The render $job was not deleted: the platform responded with status $status.");
        }
        if ($configuration->sharesStore()) {
            (new LocalStore($configuration->storeDirectory))->delete(Render::sourceKey($configuration->tenant, $job));
        }
    }

    /** Returns the HTTP status: 202 if the render was cancelled, 204 if it was deleted, 0 without a response. */
    private function requestDelete(string $job): int
    {
        $configuration = $this->configuration;
        $response = wp_remote_request("$configuration->url/renders/$job", [
            'method' => 'DELETE',
            'timeout' => self::REQUEST_TIMEOUT,
            'headers' => $configuration->token === null ? [] : ['Authorization' => "Bearer $configuration->token"],
        ]);

        return (int) wp_remote_retrieve_response_code($response);
    }

    private function storeSource(LocalStore $store, string $key, string $path): void
    {
        if (is_uploaded_file($path)) {
            $store->moveUpload($key, $path);

            return;
        }
        $file = @fopen($path, 'rb') ?: throw new ServiceUnavailable('The uploaded file is not readable.');
        $store->put($key, $file);
        fclose($file);
    }
}
