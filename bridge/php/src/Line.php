<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\QueueFull;
use Bulkhead\Exception\Unroutable;
use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPConnectionConfig;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPConnectionBlockedException;
use PhpAmqpLib\Message\AMQPMessage;

/**
 * One connection with one channel in confirm mode, used by one call at a time. After any error but Unroutable and
 * QueueFull it must be dropped: a confirm that comes late would be taken for the next message's.
 */
final class Line
{
    private const EXCHANGE = 'bulkhead';

    /** php-amqplib takes zero for "wait for ever". Seconds. */
    private const LEAST_TIMEOUT = 0.05;

    private ?string $returned = null;
    private bool $refused = false;

    private function __construct(
        private readonly AMQPStreamConnection $connection,
        private readonly AMQPChannel $channel,
    ) {
        // Under a memory or disk alarm the broker says so, and then reads no more: there is nothing to wait for.
        $connection->set_connection_block_handler(static function (): never {
            throw new AMQPConnectionBlockedException('the broker is short of memory or disk (an alarm is set)');
        });
        $channel->confirm_select();
        $channel->set_return_listener(function (int $code, string $reason): void {
            $this->returned = "$code $reason";
        });
        $channel->set_nack_handler(function (): void {
            $this->refused = true;
        });
    }

    /** Each step of connecting has `$timeout` seconds. Throws whatever php-amqplib throws. */
    public static function open(BrokerUrl $url, float $timeout): self
    {
        $timeout = max(self::LEAST_TIMEOUT, $timeout);
        $config = new AMQPConnectionConfig();
        $config->setConnectionName('bulkhead bridge, php ' . PHP_SAPI);
        // Not by php-amqplib's factory: it would speak to an amqps:// broker in clear text unless told "tls" as well.
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
            self::hangUp($connection);
            throw $error;
        }
    }

    /**
     * Returns once the broker has confirmed the message.
     *
     * @throws Unroutable
     * @throws QueueFull
     * @throws \Exception whatever php-amqplib throws
     */
    public function publish(AMQPMessage $message, string $routingKey, float $timeout): void
    {
        $this->returned = null;
        $this->refused = false;
        $this->channel->basic_publish($message, self::EXCHANGE, $routingKey, true);
        $this->channel->wait_for_pending_acks_returns(max(self::LEAST_TIMEOUT, $timeout));
        if ($this->returned !== null) {
            throw Unroutable::to($routingKey, $this->returned);
        }
        if ($this->refused) {
            throw QueueFull::of($routingKey);
        }
    }

    /** Say good-bye to the broker. */
    public function close(): void
    {
        try {
            $this->connection->close();
        } catch (\Exception) {
            $this->drop();
        }
    }

    /** Close the socket without a word: the broker may be stuck, and must not be waited for. */
    public function drop(): void
    {
        self::hangUp($this->connection);
    }

    private static function hangUp(AMQPStreamConnection $connection): void
    {
        $connection->getIO()->close();
    }
}
