<?php

declare(strict_types=1);

namespace Bulkhead;

/** The state and progress of a render. */
final class RenderStatus
{
    public const FINAL_STATES = ['succeeded', 'failed', 'dead', 'cancelled'];

    /**
     * @param string $state accepted, queued, running, succeeded, failed, dead or cancelled
     * @param int $percent progress
     * @param string $stage current stage; empty if the render is not running
     * @param string|null $error why the render did not succeed, as a sentence for users
     * @param array<string, string> $links URLs by name: `self`, `events`, and after success `preview`, `manifest` and
     *     `tiles`
     * @param array<string, mixed> $fields the complete response (`docs/reference/http.md`, model Render)
     */
    public function __construct(
        public readonly string $job,
        public readonly string $state,
        public readonly int $percent = 0,
        public readonly string $stage = '',
        public readonly ?string $error = null,
        public readonly array $links = [],
        public readonly array $fields = [],
    ) {
    }

    /** Whether the state is final. */
    public function isFinal(): bool
    {
        return in_array($this->state, self::FINAL_STATES, true);
    }

    public function succeeded(): bool
    {
        return $this->state === 'succeeded';
    }
}
