<?php

/**
 * bench.php LIBRARY URL COUNT: publishes renders with confirms on one connection and prints the seconds of each. LIBRARY is
 * `bridge` for the PHP client, or `extension` for the C extension php-amqp with the same message.
 */

declare(strict_types=1);

require __DIR__ . '/../../../../bridge/php/autoload.php';

use Bulkhead\Render;
use Bulkhead\RenderClient;

/** @return callable(Render): void */
function publisher(string $library, string $url): callable
{
    if ($library === 'bridge') {
        $client = new RenderClient($url, 5.0);

        return static fn (Render $render): string => $client->submit($render);
    }
    $parts = parse_url($url);
    $connection = new AMQPConnection(
        ['host' => $parts['host'], 'port' => $parts['port'], 'login' => $parts['user'], 'password' => $parts['pass']],
    );
    $connection->connect();
    $channel = new AMQPChannel($connection);
    $channel->confirmSelect();
    $channel->setConfirmCallback(static fn (): bool => false, static fn () => throw new Exception('rejected'));
    $channel->setReturnCallback(static fn () => throw new Exception('unroutable'));
    $exchange = new AMQPExchange($channel);
    $exchange->setName('bulkhead');

    return static function (Render $render) use ($exchange, $channel): void {
        $message = $render->message();
        $headers = array_filter($message->headers(), is_scalar(...));
        $properties = $message->properties() + ['headers' => $headers];
        $exchange->publish($message->body(), $render->queue(), AMQP_MANDATORY, $properties);
        $channel->waitForConfirm(5.0);
    };
}

if (PHP_SAPI !== 'cli') {
    [$library, $url, $count] = [$_SERVER['HTTP_LIBRARY'], getenv('BULKHEAD_BROKER_URL'), 1];
} else {
    [, $library, $url, $count] = $argv;
}
$started = hrtime(true);
$publish = publisher($library, $url);
$seconds = [];
for ($number = 0; $number < $count; $number++) {
    $start = $count > 1 ? hrtime(true) : $started;
    $publish(new Render('acme', filename: 'plan.dxf'));
    $seconds[] = (hrtime(true) - $start) / 1e9;
}
unset($publish);  // closes the connection
if ($count === 1) {
    $seconds = [(hrtime(true) - $started) / 1e9];
}
echo json_encode($seconds), "\n";
