<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Messaging\Publisher;

/**
 * Publishes renders directly to the broker:
 *
 *     $client = new RenderClient('amqp://portal:secret@broker.example.com:5672/');
 *     $render = new Render('acme', filename: 'pump station.dxf', options: new RenderOptions(width: 1024));
 *     (new LocalStore('/srv/bulkhead/store'))->put($render->source, fopen($path, 'rb'));
 *     $client->submit($render);        // returns once the broker has confirmed the message
 *
 * Reuse the client for the lifetime of the process: publishing takes half a millisecond on an open connection, and
 * several milliseconds if one must be opened.
 */
final class RenderClient
{
    private readonly Publisher $publisher;

    /**
     * @param string $url `amqp://user:password@host:5672/vhost`, or several separated by semicolons
     * @param float $timeout total time of a call, seconds
     * @throws Exception\InvalidRequest
     */
    public function __construct(#[\SensitiveParameter] string $url, float $timeout = Publisher::TIMEOUT)
    {
        $this->publisher = new Publisher($url, $timeout);
    }

    /**
     * Returns the job's id once the broker has confirmed the render.
     *
     * @throws Exception\PublishFailed if the broker did not confirm it; do not report the render as accepted, and
     *     submit the same `$render` again later
     */
    public function submit(Render $render): string
    {
        $this->publisher->publish($render->message()->toAmqp(), $render->queue());

        return $render->job;
    }

    /** Closes the connection; the next call opens a new one. */
    public function close(): void
    {
        $this->publisher->close();
    }
}
