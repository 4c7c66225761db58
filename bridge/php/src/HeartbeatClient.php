<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Messaging\Publisher;
use Bulkhead\Support\Json;
use PhpAmqpLib\Message\AMQPMessage;

/**
 * Publishes heartbeats of a plant's machines to the stream, with publisher confirms:
 *
 *     $client = new HeartbeatClient('amqp://portal:secret@broker.example.com:5672/', 'ulm');
 *     $client->send(new Beat('press-00042', 1807, microtime(true), 'running', rpm: 1480.2));
 *
 * After an error, send the same beats again: the sequence number makes sure that each beat counts once.
 */
final class HeartbeatClient
{
    public const ROUTING_KEY = 'heartbeats';

    /** Maximum number of beats in a message. */
    public const MAX_BEATS = 1_000;

    private const PLANT = '/^[a-z0-9][a-z0-9_-]{0,62}$/D';
    private const VERSION = 1;

    private readonly Publisher $publisher;

    /**
     * @param float $timeout total time of a call, seconds
     * @throws InvalidRequest
     */
    public function __construct(
        #[\SensitiveParameter] string $url,
        private readonly string $plant,
        float $timeout = Publisher::TIMEOUT,
    ) {
        self::validatePlant($plant);
        $this->publisher = new Publisher($url, $timeout);
    }

    /**
     * @throws InvalidRequest if there are no beats, or more than MAX_BEATS
     * @throws Exception\PublishFailed
     */
    public function send(Beat ...$beats): void
    {
        $this->publisher->publish(self::message($this->plant, $beats), self::ROUTING_KEY);
    }

    /** Closes the connection; the next call opens a new one. */
    public function close(): void
    {
        $this->publisher->close();
    }

    /**
     * @param array<Beat> $beats
     * @throws InvalidRequest
     */
    public static function message(string $plant, array $beats): AMQPMessage
    {
        if ($beats === [] || count($beats) > self::MAX_BEATS) {
            throw new InvalidRequest('Send between 1 and ' . self::MAX_BEATS . ' beats at a time.');
        }
        $fields = ['version' => self::VERSION, 'plant' => $plant];
        $fields['beats'] = array_map(static fn (Beat $beat): array => $beat->toArray(), array_values($beats));

        return new AMQPMessage(Json::encode($fields), [
            'content_type' => 'application/json',
            'content_encoding' => 'utf-8',
            'delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT,
        ]);
    }

    /** @throws InvalidRequest */
    public static function validatePlant(string $plant): void
    {
        if (preg_match(self::PLANT, $plant) !== 1) {
            throw new InvalidRequest("The name of a plant must match [a-z0-9][a-z0-9_-]{0,62}.");
        }
    }
}
