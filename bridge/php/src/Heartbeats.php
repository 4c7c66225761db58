<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\Invalid;
use PhpAmqpLib\Message\AMQPMessage;

/**
 * Sends heartbeats of a plant's machines to the stream, confirmed:
 *
 *     $heartbeats = new Heartbeats('amqp://portal:secret@broker.example.com:5672/', 'ulm');
 *     $heartbeats->send(new Beat('press-00042', 1807, microtime(true), 'running', rpm: 1480.2));
 *
 * Send the same beats again after any error: a beat counts once, by its number.
 */
final class Heartbeats
{
    public const ROUTING_KEY = 'heartbeats';

    /** Beats of one message. */
    public const MOST = 1_000;

    private const PLANT = '/^[a-z0-9][a-z0-9_-]{0,62}$/D';
    private const VERSION = 1;

    private readonly Broker $broker;

    /**
     * @param float $timeout seconds that a call may take in all
     * @throws Invalid
     */
    public function __construct(
        #[\SensitiveParameter] string $url,
        private readonly string $plant,
        float $timeout = Broker::TIMEOUT,
    ) {
        self::checkPlant($plant);
        $this->broker = new Broker($url, $timeout);
    }

    /**
     * @throws Invalid for no beat at all, or more than MOST
     * @throws Exception\NotPublished
     */
    public function send(Beat ...$beats): void
    {
        $this->broker->publish(self::message($this->plant, $beats), self::ROUTING_KEY);
    }

    /** Closes the connection; the next beats open another. */
    public function close(): void
    {
        $this->broker->close();
    }

    /**
     * @param array<Beat> $beats
     * @throws Invalid
     */
    public static function message(string $plant, array $beats): AMQPMessage
    {
        if ($beats === [] || count($beats) > self::MOST) {
            throw new Invalid('Send from 1 to ' . self::MOST . ' beats at a time.');
        }
        $fields = ['version' => self::VERSION, 'plant' => $plant];
        $fields['beats'] = array_map(static fn (Beat $beat): array => $beat->toArray(), array_values($beats));

        return new AMQPMessage(Json::encode($fields), [
            'content_type' => 'application/json',
            'content_encoding' => 'utf-8',
            'delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT,
        ]);
    }

    /** @throws Invalid */
    public static function checkPlant(string $plant): void
    {
        if (preg_match(self::PLANT, $plant) !== 1) {
            throw new Invalid("A plant's name must match [a-z0-9][a-z0-9_-]{0,62}.");
        }
    }
}
