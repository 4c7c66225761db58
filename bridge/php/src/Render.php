<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Messaging\CeleryMessage;
use Bulkhead\Support\Json;
use Bulkhead\Support\Text;
use Bulkhead\Support\Uuid;

/**
 * A render request. Its job id is generated when the object is created, so submitting the same object again after an
 * error never creates a second job.
 */
final class Render
{
    public const TASK = 'render.blueprint';

    /** Version of the message; its schema is `docs/reference/schemas/render.json`. */
    private const VERSION = 1;

    /** The patterns and lengths of the schema; a test compares them. */
    public const PATTERNS = [
        'tenant' => '^[a-z0-9][a-z0-9_-]{0,62}$',
        'source' => '^sources/[a-z0-9][a-z0-9_-]{0,62}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){1,4}$',
        'traceparent' => '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$',
        'webhook' => '^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[!-\"$-~]*)?$',
    ];
    public const LENGTHS = ['source' => 255, 'filename' => Text::MAX_FILENAME, 'webhook' => 500];

    public readonly string $job;

    public readonly string $source;

    public readonly RenderOptions $options;

    /**
     * @param string $tenant that owns the job
     * @param string|null $source store key of the drawing, below `sources/<tenant>/`; null uses `sourceKey()`
     * @param string $filename the name that the user gave the drawing
     * @param string|null $traceparent W3C trace context of the request
     * @param string|null $webhook URL to notify when the job ends; its host must be on the platform's list of allowed hosts
     * @param string|null $job lower-case UUID; null generates one
     * @throws InvalidRequest
     */
    public function __construct(
        public readonly string $tenant,
        ?string $source = null,
        public readonly string $filename = '',
        ?RenderOptions $options = null,
        public readonly ?string $traceparent = null,
        public readonly ?string $webhook = null,
        ?string $job = null,
    ) {
        $this->job = $job ?? Uuid::random();
        self::check(self::isValid('tenant', $tenant), 'tenant', 'must match [a-z0-9][a-z0-9_-]{0,62}');
        self::check(Uuid::isValid($this->job), 'job', 'must be a lower-case UUID with hyphens');
        $this->source = $source ?? self::sourceKey($tenant, $this->job);
        $this->options = $options ?? new RenderOptions();
        $belongsToTenant = self::isValid('source', $this->source) && explode('/', $this->source)[1] === $tenant;
        self::check($belongsToTenant, 'source', "must be a store key below sources/$tenant/");
        self::check(self::isValid('filename', $filename), 'filename', 'must be UTF-8 of at most 255 characters');
        self::check(self::isValid('traceparent', $traceparent), 'traceparent', 'must be a W3C trace context, or null');
        self::check(self::isValid('webhook', $webhook), 'webhook', 'must be an http or https URL, or null');
    }

    /** Default store key of a job's drawing. */
    public static function sourceKey(string $tenant, string $job): string
    {
        return "sources/$tenant/$job";
    }

    /** Queue of the job: tiles have a queue of their own, so that previews do not wait behind them. */
    public function queue(): string
    {
        return $this->options->tiles() ? 'render.tiles' : 'render';
    }

    public function message(): CeleryMessage
    {
        $fields = [
            'version' => self::VERSION,
            'job' => $this->job,
            'tenant' => $this->tenant,
            'source' => $this->source,
            'filename' => $this->filename,
            'options' => (object) $this->options->toArray(),
            'traceparent' => $this->traceparent,
            'webhook' => $this->webhook,
        ];

        return new CeleryMessage(self::TASK, $this->job, Json::canonical($fields));
    }

    private static function isValid(string $field, ?string $value): bool
    {
        return $value === null
            || (Text::isWithin($value, self::LENGTHS[$field] ?? PHP_INT_MAX)
                && Text::matches($value, self::PATTERNS[$field] ?? ''));
    }

    private static function check(bool $valid, string $field, string $rule): void
    {
        if (!$valid) {
            throw new InvalidRequest("The render's $field $rule.");
        }
    }
}
