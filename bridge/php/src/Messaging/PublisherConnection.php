<?php

declare(strict_types=1);

namespace Bulkhead\Messaging;

use Bulkhead\Exception\QueueFull;
use Bulkhead\Exception\Unroutable;
use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPConnectionConfig;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPConnectionBlockedException;
use PhpAmqpLib\Message\AMQPMessage;

/**
 * A connection with one channel in confirm mode, used by one call at a time. After any error except Unroutable and
 * QueueFull, call `abort`: a late confirm would otherwise be attributed to the next message.
 */
final class PublisherConnection
{
    private const EXCHANGE = 'bulkhead';

    /** Minimum timeout, seconds: php-amqplib treats zero as "wait forever". */
    private const MIN_TIMEOUT = 0.05;

    private ?string $returned = null;
    private bool $rejected = false;

    private function __construct(
        private readonly AMQPStreamConnection $connection,
        private readonly AMQPChannel $channel,
    ) {
        // Under a memory or disk alarm the broker stops reading, so no confirm will arrive.
        $connection->set_connection_block_handler(static function (): never {
            throw new AMQPConnectionBlockedException('the broker has a memory or disk alarm');
        });
        $channel->confirm_select();
        $channel->set_return_listener(function (int $code, string $reason): void {
            $this->returned = "$code $reason";
        });
        $channel->set_nack_handler(function (): void {
            $this->rejected = true;
        });
    }

    /** Opens a connection; `$timeout` applies to each step, in seconds. Throws what php-amqplib throws. */
    public static function open(BrokerUrl $url, float $timeout): self
    {
        $timeout = max(self::MIN_TIMEOUT, $timeout);
        $config = new AMQPConnectionConfig();
        $config->setConnectionName('bulkhead php ' . PHP_SAPI);
        // php-amqplib's factory would connect to an amqps:// broker in clear text unless the protocol is set as well.
        $connection = new AMQPStreamConnection(
            $url->address(),
            $url->port,
            $url->user,
            $url->password,
            $url->vhost,
            connection_timeout: $timeout,
            read_write_timeout: $timeout,
            context: stream_context_create($url->tls ? ['ssl' => ['verify_peer' => true, 'peer_name' => $url->host]] : []),
            channel_rpc_timeout: $timeout,
            ssl_protocol: $url->tls ? 'tls' : null,
            config: $config,
        );
        $connection->set_close_on_destruct(false);
        try {
            return new self($connection, $connection->channel());
        } catch (\Throwable $error) {
            self::closeSocket($connection);
            throw $error;
        }
    }

    /**
     * Returns once the broker has confirmed the message.
     *
     * @throws Unroutable
     * @throws QueueFull
     * @throws \Exception what php-amqplib throws
     */
    public function publish(AMQPMessage $message, string $routingKey, float $timeout): void
    {
        $this->returned = null;
        $this->rejected = false;
        $this->channel->basic_publish($message, self::EXCHANGE, $routingKey, true);
        $this->channel->wait_for_pending_acks_returns(max(self::MIN_TIMEOUT, $timeout));
        if ($this->returned !== null) {
            throw Unroutable::forRoutingKey($routingKey, $this->returned);
        }
        if ($this->rejected) {
            throw QueueFull::forRoutingKey($routingKey);
        }
    }

    /** Closes the connection in an orderly way. */
    public function close(): void
    {
        try {
            $this->connection->close();
        } catch (\Exception) {
            $this->abort();
        }
    }

    /** Closes the socket without the closing handshake, which could block on an unresponsive broker. */
    public function abort(): void
    {
        self::closeSocket($this->connection);
    }

    private static function closeSocket(AMQPStreamConnection $connection): void
    {
        $connection->getIO()->close();
    }
}
