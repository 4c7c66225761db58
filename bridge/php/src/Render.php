<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\Invalid;

/**
 * One render asked for. Its job id is chosen here, before the first try: sending the same object again after an error
 * is the same job, never a second one.
 */
final class Render
{
    public const TASK = 'render.blueprint';

    /** Version of the message; its schema is `docs/reference/schemas/render.json`. */
    private const VERSION = 1;

    /** As in the schema; a test holds them together. */
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
     * @param string $tenant whose job it is
     * @param string|null $source key of the drawing in the store, below `sources/<tenant>/`; null: `sourceKey()`, where
     *     `LocalStore` puts a drawing for this job
     * @param string $filename what the user calls the drawing
     * @param string|null $traceparent W3C trace context of the request
     * @param string|null $webhook address that is told of the end, on the platform's list of allowed hosts
     * @param string|null $job a random UUID in lower case; null: a new one
     * @throws Invalid
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
        self::refuseUnless(self::fits('tenant', $tenant), 'tenant', 'must match [a-z0-9][a-z0-9_-]{0,62}');
        self::refuseUnless(Uuid::isOne($this->job), 'job', 'must be a UUID in lower case with hyphens');
        $this->source = $source ?? self::sourceKey($tenant, $this->job);
        $this->options = $options ?? new RenderOptions();
        $theirs = self::fits('source', $this->source) && explode('/', $this->source)[1] === $tenant;
        self::refuseUnless($theirs, 'source', "must be a key of the store below sources/$tenant/");
        self::refuseUnless(self::fits('filename', $filename), 'filename', 'must be UTF-8 of at most 255 characters');
        self::refuseUnless(self::fits('traceparent', $traceparent), 'traceparent', 'must be a W3C trace context, or null');
        self::refuseUnless(self::fits('webhook', $webhook), 'webhook', 'must be an address of http or https, or null');
    }

    /** Key under which the drawing of a job lies by default. */
    public static function sourceKey(string $tenant, string $job): string
    {
        return "sources/$tenant/$job";
    }

    /** The queue it goes to: seconds never wait behind minutes. */
    public function lane(): string
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

    private static function fits(string $field, ?string $value): bool
    {
        return $value === null
            || (Text::fits($value, self::LENGTHS[$field] ?? PHP_INT_MAX)
                && Text::matches($value, self::PATTERNS[$field] ?? ''));
    }

    private static function refuseUnless(bool $fits, string $field, string $rule): void
    {
        if (!$fits) {
            throw new Invalid("The render's $field $rule.");
        }
    }
}
