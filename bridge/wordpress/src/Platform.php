<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\Exception\NotConfirmed;
use Bulkhead\Exception\NotPublished;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\Intake;
use Bulkhead\LocalStore;
use Bulkhead\Render;
use Bulkhead\RenderClient;
use Bulkhead\RenderOptions;
use Bulkhead\RenderStatus;
use Bulkhead\Status;
use Bulkhead\Uuid;
use PhpAmqpLib\Message\AMQPMessage;

/** The platform as this site uses it. It throws the bridge's exceptions. */
final class Platform
{
    /** Seconds that a page waits to hear of a drawing. */
    private const PATIENCE = 3.0;

    /** Seconds that an upload over HTTP may take; below the pool's `request_terminate_timeout`. */
    private const UPLOAD = 25.0;

    public function __construct(private readonly Configuration $configuration)
    {
    }

    /** The job's id, once the drawing is accepted durably. An upload is moved, another file copied or sent. */
    public function handOver(string $path, string $filename, RenderOptions $options): string
    {
        $own = $this->configuration;
        if (!$own->isShared()) {
            return (new Intake($own->url, $own->token, self::UPLOAD))->submit($path, $filename, $options, Uuid::random());
        }
        if (!class_exists(AMQPMessage::class)) {
            throw new ServiceUnavailable('php-amqplib is missing: install it (Debian: php-amqplib).');
        }
        $render = new Render($own->tenant, null, $filename, $options);
        $store = new LocalStore($own->store);
        $this->keep($store, $render->source, $path);
        try {
            return (new RenderClient($own->brokerUrl))->submit($render);
        } catch (NotPublished $error) {
            if (!$error instanceof NotConfirmed) {  // else a worker may be at it
                $store->delete($render->source);
            }
            throw $error;
        }
    }

    /** What is known of a job; null if nothing is. */
    public function status(string $job, float $publishedAt): ?RenderStatus
    {
        $own = $this->configuration;

        return (new Status($own->url, $own->token, timeout: self::PATIENCE))->of($job, $publishedAt);
    }

    /** Address of a finished render's preview for browsers, which the platform has signed for an hour or two. */
    public function preview(RenderStatus $status): string
    {
        return $this->configuration->publicUrl . $status->all['links']['preview'];
    }

    /** Address of the viewer that shows this finished render, and nothing else. */
    public function viewer(RenderStatus $status): string
    {
        parse_str((string) parse_url($status->all['links']['preview'], PHP_URL_QUERY), $signature);
        $name = ['name' => (string) ($status->all['filename'] ?? '')];
        $query = http_build_query($name + $signature, '', '&', PHP_QUERY_RFC3986);

        return "{$this->configuration->publicUrl}/viewer/#/drawing/$status->job?$query";
    }

    /** Where the original of a job lies on this server; null if it does not. */
    public function original(string $job): ?string
    {
        $path = "{$this->configuration->store}/" . Render::sourceKey($this->configuration->tenant, $job);

        return $this->configuration->isShared() && is_file($path) ? $path : null;
    }

    /** Removes a render with its drawing and its pictures; one that is under way is cancelled before. */
    public function forget(string $job): void
    {
        $own = $this->configuration;
        $status = $this->delete($job);
        if ($status === 202) {
            $status = $this->delete($job);
        }
        if (!in_array($status, [202, 204, 404], true)) {
            throw new ServiceUnavailable("The render $job was not removed: the platform answered $status.");
        }
        if ($own->isShared()) {
            (new LocalStore($own->store))->delete(Render::sourceKey($own->tenant, $job));
        }
    }

    /** The status that the intake answers with: 202 for cancelled, 204 for removed, 0 for nothing. */
    private function delete(string $job): int
    {
        $own = $this->configuration;
        $answer = wp_remote_request("$own->url/renders/$job", [
            'method' => 'DELETE',
            'timeout' => self::PATIENCE,
            'headers' => $own->token === null ? [] : ['Authorization' => "Bearer $own->token"],
        ]);

        return (int) wp_remote_retrieve_response_code($answer);
    }

    private function keep(LocalStore $store, string $key, string $path): void
    {
        if (is_uploaded_file($path)) {
            $store->takeUpload($key, $path);

            return;
        }
        $file = @fopen($path, 'rb') ?: throw new ServiceUnavailable('The file that was received cannot be read.');
        $store->put($key, $file);
        fclose($file);
    }
}
