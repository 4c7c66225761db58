<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\BrokerUnavailable;
use Bulkhead\Exception\NotConfirmed;
use Bulkhead\Exception\QueueFull;
use Bulkhead\Exception\Unroutable;
use PhpAmqpLib\Exception\AMQPExceptionInterface;
use PhpAmqpLib\Message\AMQPMessage;

/**
 * Publishes with confirms: a message is on the broker's disk when `publish` returns, or an exception says that it may
 * not be. The connection is opened by the first message and kept for those that follow.
 */
final class Broker
{
    /** Seconds that a message may take in all, so that a person is told within two. */
    public const TIMEOUT = 1.5;

    /** @var non-empty-list<BrokerUrl> */
    private readonly array $urls;

    private ?Line $line = null;

    /**
     * @param string $urls `amqp://user:password@host:5672/vhost`; the brokers of a cluster are separated by semicolons
     * @throws Exception\Invalid
     */
    public function __construct(
        #[\SensitiveParameter] string $urls,
        private readonly float $timeout = self::TIMEOUT,
    ) {
        $this->urls = BrokerUrl::parseAll($urls);
    }

    /**
     * @throws BrokerUnavailable if nothing was sent
     * @throws NotConfirmed if the broker may have the message
     * @throws Unroutable
     * @throws QueueFull
     */
    public function publish(AMQPMessage $message, string $routingKey): void
    {
        $deadline = self::now() + $this->timeout;
        $doubt = null;
        do {
            $reused = $this->line !== null;
            try {
                $line = $this->line ??= $this->connect($deadline);
            } catch (BrokerUnavailable $error) {
                throw $doubt === null ? $error : NotConfirmed::because($doubt->getMessage(), $doubt);
            }
            try {
                $line->publish($message, $routingKey, $deadline - self::now());

                return;
            } catch (AMQPExceptionInterface | \ErrorException $doubt) {
                $line->drop();
                $this->line = null;
            }
            // A line that was idle may have been closed meanwhile: the message goes once more, through a new one.
        } while ($reused && self::now() < $deadline);
        throw NotConfirmed::because($doubt->getMessage(), $doubt);
    }

    /** Closes the connection; the next message opens another. */
    public function close(): void
    {
        $this->line?->close();
        $this->line = null;
    }

    public function __destruct()
    {
        $this->close();
    }

    private function connect(float $deadline): Line
    {
        $left = count($this->urls);
        $said = [];
        foreach ($this->urls as $url) {
            try {
                return Line::open($url, ($deadline - self::now()) / $left--);
            } catch (\Exception $error) {
                $said[] = "$url->host:$url->port: {$error->getMessage()}";
            }
        }
        throw BrokerUnavailable::because(implode('; ', $said), $error);
    }

    private static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
