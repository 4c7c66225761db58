<?php

declare(strict_types=1);

namespace Bulkhead;

/**
 * Asks for renders, straight through the broker:
 *
 *     $client = new RenderClient('amqp://portal:secret@broker.example.com:5672/');
 *     $render = new Render('acme', filename: 'pump station.dxf', options: new RenderOptions(width: 1024));
 *     (new LocalStore('/srv/bulkhead/store'))->put($render->source, fopen($path, 'rb'));
 *     $client->submit($render);        // on the broker's disk now
 *     saveForLater($render->job);
 *
 * Keep the client for as long as the process lives: a message takes half a millisecond on a connection that is open,
 * several to open one.
 */
final class RenderClient
{
    private readonly Broker $broker;

    /**
     * @param string $url `amqp://user:password@host:5672/vhost`, or several separated by semicolons
     * @param float $timeout seconds that a call may take in all
     * @throws Exception\Invalid
     */
    public function __construct(#[\SensitiveParameter] string $url, float $timeout = Broker::TIMEOUT)
    {
        $this->broker = new Broker($url, $timeout);
    }

    /**
     * Returns the job's id once the broker has confirmed the render.
     *
     * @throws Exception\NotPublished if it did not. Send the same `$render` again later; until then do not tell anybody
     *     that it was accepted.
     */
    public function submit(Render $render): string
    {
        $this->broker->publish($render->message()->toAmqp(), $render->lane());

        return $render->job;
    }

    /** Closes the connection; the next render opens another. */
    public function close(): void
    {
        $this->broker->close();
    }
}
