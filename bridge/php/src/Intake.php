<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\Invalid;
use Bulkhead\Exception\Refused;
use Bulkhead\Exception\ServiceUnavailable;

/**
 * Sends a drawing through the HTTP intake, where PHP and the workers share no disk. The file is streamed, whatever its
 * size; the intake stores it, reads its header and publishes the job.
 */
final class Intake
{
    private readonly Http $http;

    /**
     * @param string $url address of the intake, such as `https://bulkhead.example.com`
     * @param string|null $token the tenant's bearer token; null where only loopback is served
     * @param float $timeout seconds that an upload may take in all
     */
    public function __construct(
        private readonly string $url,
        #[\SensitiveParameter] private readonly ?string $token = null,
        float $timeout = 300.0,
        ?Http $http = null,
    ) {
        $this->http = $http ?? new Http($timeout);
    }

    /**
     * Returns the job's id once the intake has accepted the drawing durably.
     *
     * @param string $key chosen before the first try, and the same at every further one: it is the same job then
     * @throws Invalid if there is no such file
     * @throws Refused if the intake said no; 429 and 503 are worth another try later
     * @throws ServiceUnavailable
     */
    public function submit(string $path, string $filename, RenderOptions $options, string $key, ?string $webhook = null): string
    {
        if (!is_file($path)) {
            throw new Invalid("There is no file to send at $path.");
        }
        $form = ['blueprint' => new \CURLFile($path, 'application/octet-stream', Text::filename($filename))];
        foreach ($options->toArray() as $name => $value) {
            $form[$name] = is_bool($value) ? ($value ? 'true' : 'false') : (string) $value;
        }
        if ($webhook !== null) {
            $form['webhook'] = $webhook;
        }
        [$status, $answer] = $this->http->request(
            rtrim($this->url, '/') . '/renders',
            ["Idempotency-Key: $key", ...self::authorization($this->token)],
            $form,
        );
        if ($status !== 202 && $status !== 200) {
            throw new Refused($status, $answer);
        }
        if (!is_string($answer['id'] ?? null)) {
            throw new ServiceUnavailable("What answers at $this->url is not Bulkhead's intake: check the address.");
        }

        return $answer['id'];
    }

    /** @return list<string> */
    public static function authorization(#[\SensitiveParameter] ?string $token): array
    {
        return $token === null ? [] : ["Authorization: Bearer $token"];
    }
}
