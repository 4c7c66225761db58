<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Exception\ServiceUnavailable;
use Bulkhead\Support\Json;

/**
 * The latest readings of a plant's machines in Redis. It uses the platform's own keys: `get` returns what the platform
 * wrote, and `set` is published to all viewers. It can replace a directory with one file per machine:
 *
 *     $cache = SensorCache::connect('redis://:secret@127.0.0.1:6379/0', 'ulm');
 *     $cache->set('press-00042', new Beat('press-00042', 1807, microtime(true), 'running', rpm: 1480.2));
 *     $reading = $cache->get('press-00042');      // ?Reading, always from a single beat
 *     foreach ($cache->all() as $machine => $reading) { … }
 *     $cache->delete('press-00042');
 *
 * An older beat never replaces a newer one, whatever the order of the writes.
 */
final class SensorCache
{
    /** Default time to live of a reading, seconds; the same as BULKHEAD_SENSORS_TTL. */
    public const TTL = 86_400;

    /** Machines read in one pipeline. */
    private const BATCH = 500;

    private const FIELDS = ['seen_at', 'seq', 'status', 'rpm', 'temperature_c', 'vibration_mm_s', 'received_at'];

    /**
     * Writes the hash of a machine atomically unless the stored one is newer; returns whether it was written. KEYS: the
     * hash, the plant's set (also the name of its channel), and the set of plants. ARGV: time to live, machine, the
     * update as JSON, the values of FIELDS, and the plant.
     */
    private const SET_SCRIPT = <<<'LUA'
        local seen = redis.call('HGET', KEYS[1], 'seen_at')
        if seen and tonumber(seen) > tonumber(ARGV[4]) then return 0 end
        redis.call('HSET', KEYS[1], 'seen_at', ARGV[4], 'seq', ARGV[5], 'status', ARGV[6], 'rpm', ARGV[7],
          'temperature_c', ARGV[8], 'vibration_mm_s', ARGV[9], 'received_at', ARGV[10])
        redis.call('EXPIRE', KEYS[1], ARGV[1])
        redis.call('ZADD', KEYS[2], ARGV[10], ARGV[2])
        redis.call('EXPIRE', KEYS[2], ARGV[1])
        redis.call('ZADD', KEYS[3], 'GT', ARGV[10], ARGV[11])
        redis.call('PUBLISH', KEYS[2], ARGV[3])
        return 1
        LUA;

    private const KEY_COUNT = 3;

    private static ?string $sha = null;

    /** @throws InvalidRequest */
    public function __construct(
        private readonly \Redis $redis,
        private readonly string $plant,
        private readonly int $ttl = self::TTL,
    ) {
        HeartbeatClient::validatePlant($plant);
    }

    /**
     * @param string $url `redis://user:password@host:6379/0`, `rediss://` for TLS
     * @param float $timeout for connecting and for every reply, seconds
     * @throws InvalidRequest
     * @throws ServiceUnavailable
     */
    public static function connect(#[\SensitiveParameter] string $url, string $plant, float $timeout = 1.0): self
    {
        $parts = parse_url($url);
        if (!isset($parts['host']) || !in_array($parts['scheme'] ?? '', ['redis', 'rediss'], true)) {
            throw new InvalidRequest("The Redis URL must look like redis://:password@host:6379/0, or rediss://… for TLS.");
        }
        if (!extension_loaded('redis')) {
            throw new ServiceUnavailable('The PHP extension redis is missing: install it (Debian: php-redis).');
        }
        $redis = new \Redis();
        $reply = self::query(static function () use ($redis, $parts, $timeout): bool {
            $host = ($parts['scheme'] === 'rediss' ? 'tls://' : '') . $parts['host'];
            $redis->connect($host, $parts['port'] ?? 6379, $timeout, null, 0, $timeout);
            $login = array_map(rawurldecode(...), array_filter([$parts['user'] ?? '', $parts['pass'] ?? '']));

            return ($login === [] || $redis->auth(array_values($login))) && $redis->select((int) ltrim($parts['path'] ?? '', '/'));
        });
        if ($reply !== true) {
            throw new ServiceUnavailable('Redis rejected the user, password or database of its URL: correct the URL.');
        }

        return new self($redis, $plant);
    }

    /**
     * Stores the beat unless a newer one is stored. Returns whether it was stored.
     *
     * @param float|null $receivedAt seconds since 1970; null means now
     * @throws InvalidRequest if the beat belongs to another machine
     * @throws ServiceUnavailable
     */
    public function set(string $machine, Beat $beat, ?float $receivedAt = null): bool
    {
        if ($beat->machine !== $machine) {
            throw new InvalidRequest("The beat belongs to the machine $beat->machine, not to $machine.");
        }
        $values = $beat->toArray() + ['received_at' => $receivedAt ?? microtime(true)];
        $update = ['plant' => $this->plant, 'machine' => $machine];
        $arguments = [$this->key($machine), "sensors:$this->plant", 'plants', $this->ttl, $machine, ''];
        foreach (self::FIELDS as $name) {
            $update[$name] = $values[$name] ?? null;
            // String conversion in PHP rounds a float to `precision` digits; JSON encoding is exact.
            $arguments[] = is_float($values[$name] ?? '') ? Json::encode($values[$name]) : $values[$name] ?? '';
        }
        $arguments[5] = Json::encode([$update]);
        $arguments[] = $this->plant;

        return self::query(fn (): mixed => $this->runSetScript($arguments)) === 1;
    }

    /**
     * Returns the latest reading of a machine; null if the machine is unknown or its reading has expired.
     *
     * @throws ServiceUnavailable
     */
    public function get(string $machine): ?Reading
    {
        return $this->readMany([$machine])[$machine] ?? null;
    }

    /**
     * Returns the latest reading of every machine of the plant, keyed and sorted by machine.
     *
     * @return array<string, Reading>
     * @throws ServiceUnavailable
     */
    public function all(): array
    {
        $names = self::query(fn (): mixed => $this->redis->zRange("sensors:$this->plant", 0, -1)) ?: [];
        sort($names, SORT_STRING);
        $readings = [];
        foreach (array_chunk($names, self::BATCH) as $batch) {
            $readings += $this->readMany($batch);
        }

        return $readings;
    }

    /**
     * Deletes the reading of a machine if there is one.
     *
     * @throws ServiceUnavailable
     */
    public function delete(string $machine): void
    {
        $key = $this->key($machine);
        self::query(fn (): mixed => $this->redis->multi()->del($key)->zRem("sensors:$this->plant", $machine)->exec());
    }

    /**
     * @param list<string> $machines
     * @return array<string, Reading>
     */
    private function readMany(array $machines): array
    {
        $keys = array_map($this->key(...), $machines);
        $replies = self::query(function () use ($keys): mixed {
            $pipe = $this->redis->pipeline();
            foreach ($keys as $key) {
                $pipe->hMGet($key, self::FIELDS);
            }

            return $pipe->exec();
        });
        $readings = [];
        foreach ($machines as $number => $machine) {
            $fields = $replies[$number] ?? [];
            if (is_string($fields['seen_at'] ?? null)) {
                $readings[$machine] = self::toReading($machine, $fields);
            }
        }

        return $readings;
    }

    /** @param array<string, string> $fields */
    private static function toReading(string $machine, array $fields): Reading
    {
        $number = static fn (string $name): ?float => is_numeric($fields[$name]) ? (float) $fields[$name] : null;

        return new Reading(
            $machine,
            (int) $fields['seq'],
            (float) $fields['seen_at'],
            (float) $fields['received_at'],
            $fields['status'],
            $number('rpm'),
            $number('temperature_c'),
            $number('vibration_mm_s'),
        );
    }

    private function key(string $machine): string
    {
        if (preg_match(Beat::MACHINE, $machine) !== 1) {
            throw new InvalidRequest("The name of a machine must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}.");
        }

        return "sensor:$this->plant:$machine";
    }

    /** @param list<mixed> $arguments the keys first */
    private function runSetScript(array $arguments): mixed
    {
        $this->redis->clearLastError();
        $reply = $this->redis->evalSha(self::$sha ??= sha1(self::SET_SCRIPT), $arguments, self::KEY_COUNT);
        if ($reply === false && str_starts_with((string) $this->redis->getLastError(), 'NOSCRIPT')) {
            $this->redis->clearLastError();
            $reply = $this->redis->eval(self::SET_SCRIPT, $arguments, self::KEY_COUNT);
        }
        if ($reply === false) {
            throw new \RedisException((string) $this->redis->getLastError());
        }

        return $reply;
    }

    /** @param callable(): mixed $query */
    private static function query(callable $query): mixed
    {
        try {
            return $query();
        } catch (\RedisException $error) {
            throw new ServiceUnavailable("Redis does not respond: try again. ({$error->getMessage()})", 0, $error);
        }
    }
}
