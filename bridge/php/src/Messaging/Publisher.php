<?php

declare(strict_types=1);

namespace Bulkhead\Messaging;

use Bulkhead\Exception\BrokerUnavailable;
use Bulkhead\Exception\NotConfirmed;
use Bulkhead\Exception\QueueFull;
use Bulkhead\Exception\Unroutable;
use PhpAmqpLib\Exception\AMQPExceptionInterface;
use PhpAmqpLib\Message\AMQPMessage;

/**
 * Publishes with publisher confirms: when `publish` returns, the message is on the broker's disk. The first message opens
 * the connection; later messages reuse it.
 */
final class Publisher
{
    /** Total time to publish a message, seconds: leaves a web page time to report a failure within two seconds. */
    public const TIMEOUT = 1.5;

    /** @var non-empty-list<BrokerUrl> */
    private readonly array $urls;

    private ?PublisherConnection $connection = null;

    /**
     * @param string $urls `amqp://user:password@host:5672/vhost`; the brokers of a cluster are separated by semicolons
     * @throws \Bulkhead\Exception\InvalidRequest
     */
    public function __construct(
        #[\SensitiveParameter] string $urls,
        private readonly float $timeout = self::TIMEOUT,
    ) {
        $this->urls = BrokerUrl::parseAll($urls);
    }

    /**
     * @throws BrokerUnavailable if nothing was sent
     * @throws NotConfirmed if the broker may have received the message
     * @throws Unroutable
     * @throws QueueFull
     */
    public function publish(AMQPMessage $message, string $routingKey): void
    {
        $deadline = self::monotonic() + $this->timeout;
        $unconfirmed = null;
        do {
            $reused = $this->connection !== null;
            try {
                $connection = $this->connection ??= $this->connect($deadline);
            } catch (BrokerUnavailable $error) {
                throw $unconfirmed === null ? $error : NotConfirmed::withReason($unconfirmed->getMessage(), $unconfirmed);
            }
            try {
                $connection->publish($message, $routingKey, $deadline - self::monotonic());

                return;
            } catch (AMQPExceptionInterface | \ErrorException $unconfirmed) {
                $connection->abort();
                $this->connection = null;
            }
            // The broker may have closed an idle connection: retry once on a new one. Duplicates have the same id.
        } while ($reused && self::monotonic() < $deadline);
        throw NotConfirmed::withReason($unconfirmed->getMessage(), $unconfirmed);
    }

    /** Closes the connection; the next message opens another. */
    public function close(): void
    {
        $this->connection?->close();
        $this->connection = null;
    }

    public function __destruct()
    {
        $this->close();
    }

    private function connect(float $deadline): PublisherConnection
    {
        $remaining = count($this->urls);
        $errors = [];
        foreach ($this->urls as $url) {
            try {
                return PublisherConnection::open($url, ($deadline - self::monotonic()) / $remaining--);
            } catch (\Exception $error) {
                $errors[] = "$url->host:$url->port: {$error->getMessage()}";
            }
        }
        throw BrokerUnavailable::withReason(implode('; ', $errors), $error);
    }

    private static function monotonic(): float
    {
        return hrtime(true) / 1e9;
    }
}
