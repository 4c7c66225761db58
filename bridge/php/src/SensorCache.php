<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\Invalid;
use Bulkhead\Exception\ServiceUnavailable;

/**
 * The latest readings of a plant's machines, in Redis, under the keys that the platform uses itself: what the coalescer
 * writes is read here, and what is written here is seen by everybody who watches. It replaces a directory of files, one
 * a machine:
 *
 *     $cache = SensorCache::connect('redis://:secret@127.0.0.1:6379/0', 'ulm');
 *     $cache->set('press-00042', new Beat('press-00042', 1807, microtime(true), 'running', rpm: 1480.2));
 *     $reading = $cache->get('press-00042');      // ?Reading, always of one beat as a whole
 *     foreach ($cache->all() as $machine => $reading) { … }
 *     $cache->delete('press-00042');
 *
 * An older beat never replaces a newer one, in whatever order writers come.
 */
final class SensorCache
{
    /** Seconds for which the readings of a silent machine are kept, as BULKHEAD_SENSORS_TTL. */
    public const KEEP = 86_400;

    /** Machines asked for at once. */
    private const BATCH = 500;

    private const FIELDS = ['seen_at', 'seq', 'status', 'rpm', 'temperature_c', 'vibration_mm_s', 'received_at'];

    /**
     * Writes a hash in one step, unless there is a newer one; answers whether it did. KEYS: the hash, the plant's set,
     * whose name is that of its channel, too, and the set of plants. ARGV: seconds to keep, the machine, the news as JSON,
     * the values of FIELDS, and the plant.
     */
    private const SET = <<<'LUA'
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

    private const KEYS = 3;

    private static ?string $sha = null;

    /** @throws Invalid */
    public function __construct(
        private readonly \Redis $redis,
        private readonly string $plant,
        private readonly int $keep = self::KEEP,
    ) {
        Heartbeats::checkPlant($plant);
    }

    /**
     * @param string $url `redis://user:password@host:6379/0`, `rediss://` for TLS
     * @param float $timeout seconds to connect, and for every answer
     * @throws Invalid
     * @throws ServiceUnavailable
     */
    public static function connect(#[\SensitiveParameter] string $url, string $plant, float $timeout = 1.0): self
    {
        $parts = parse_url($url);
        if (!isset($parts['host']) || !in_array($parts['scheme'] ?? '', ['redis', 'rediss'], true)) {
            throw new Invalid("Redis' URL must look like redis://:password@host:6379/0, or rediss://… for TLS.");
        }
        if (!extension_loaded('redis')) {
            throw new ServiceUnavailable('The PHP extension redis is missing: install it (Debian: php-redis).');
        }
        $redis = new \Redis();
        $answer = self::ask(static function () use ($redis, $parts, $timeout): bool {
            $host = ($parts['scheme'] === 'rediss' ? 'tls://' : '') . $parts['host'];
            $redis->connect($host, $parts['port'] ?? 6379, $timeout, null, 0, $timeout);
            $login = array_map(rawurldecode(...), array_filter([$parts['user'] ?? '', $parts['pass'] ?? '']));

            return ($login === [] || $redis->auth(array_values($login))) && $redis->select((int) ltrim($parts['path'] ?? '', '/'));
        });
        if ($answer !== true) {
            throw new ServiceUnavailable('Redis refuses the user, the password or the database of its URL: correct it.');
        }

        return new self($redis, $plant);
    }

    /**
     * Writes the beat unless a newer one is there; whether it did.
     *
     * @param float|null $receivedAt null: now
     * @throws Invalid if the beat is another machine's
     * @throws ServiceUnavailable
     */
    public function set(string $machine, Beat $beat, ?float $receivedAt = null): bool
    {
        if ($beat->machine !== $machine) {
            throw new Invalid("This beat is of the machine $beat->machine, not of $machine.");
        }
        $values = $beat->toArray() + ['received_at' => $receivedAt ?? microtime(true)];
        $news = ['plant' => $this->plant, 'machine' => $machine];
        $arguments = [$this->key($machine), "sensors:$this->plant", 'plants', $this->keep, $machine, ''];
        foreach (self::FIELDS as $name) {
            $news[$name] = $values[$name] ?? null;
            // PHP's own text of a float is cut to `precision` digits; JSON's is exact.
            $arguments[] = is_float($values[$name] ?? '') ? Json::encode($values[$name]) : $values[$name] ?? '';
        }
        $arguments[5] = Json::encode([$news]);
        $arguments[] = $this->plant;

        return self::ask(fn (): mixed => $this->run($arguments)) === 1;
    }

    /**
     * The latest of a machine; null if it is unknown, or has been silent for long.
     *
     * @throws ServiceUnavailable
     */
    public function get(string $machine): ?Reading
    {
        return $this->some([$machine])[$machine] ?? null;
    }

    /**
     * The latest of every machine that was heard lately, by name.
     *
     * @return array<string, Reading>
     * @throws ServiceUnavailable
     */
    public function all(): array
    {
        $names = self::ask(fn (): mixed => $this->redis->zRange("sensors:$this->plant", 0, -1)) ?: [];
        sort($names, SORT_STRING);
        $found = [];
        foreach (array_chunk($names, self::BATCH) as $some) {
            $found += $this->some($some);
        }

        return $found;
    }

    /**
     * Forgets a machine; one that is unknown is no error.
     *
     * @throws ServiceUnavailable
     */
    public function delete(string $machine): void
    {
        $key = $this->key($machine);
        self::ask(fn (): mixed => $this->redis->multi()->del($key)->zRem("sensors:$this->plant", $machine)->exec());
    }

    /**
     * @param list<string> $machines
     * @return array<string, Reading>
     */
    private function some(array $machines): array
    {
        $keys = array_map($this->key(...), $machines);
        $answers = self::ask(function () use ($keys): mixed {
            $pipe = $this->redis->pipeline();
            foreach ($keys as $key) {
                $pipe->hMGet($key, self::FIELDS);
            }

            return $pipe->exec();
        });
        $found = [];
        foreach ($machines as $number => $machine) {
            $fields = $answers[$number] ?? [];
            if (is_string($fields['seen_at'] ?? null)) {
                $found[$machine] = self::reading($machine, $fields);
            }
        }

        return $found;
    }

    /** @param array<string, string> $fields */
    private static function reading(string $machine, array $fields): Reading
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
            throw new Invalid("A machine's name must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}.");
        }

        return "sensor:$this->plant:$machine";
    }

    /** @param list<mixed> $arguments the two keys first */
    private function run(array $arguments): mixed
    {
        $this->redis->clearLastError();
        $answer = $this->redis->evalSha(self::$sha ??= sha1(self::SET), $arguments, self::KEYS);
        if ($answer === false && str_starts_with((string) $this->redis->getLastError(), 'NOSCRIPT')) {
            $this->redis->clearLastError();
            $answer = $this->redis->eval(self::SET, $arguments, self::KEYS);
        }
        if ($answer === false) {
            throw new \RedisException((string) $this->redis->getLastError());
        }

        return $answer;
    }

    /** @param callable(): mixed $question */
    private static function ask(callable $question): mixed
    {
        try {
            return $question();
        } catch (\RedisException $error) {
            throw new ServiceUnavailable("Redis does not answer: try again. ({$error->getMessage()})", 0, $error);
        }
    }
}
