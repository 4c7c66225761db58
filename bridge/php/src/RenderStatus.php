<?php

declare(strict_types=1);

namespace Bulkhead;

/** What is known of a render. */
final class RenderStatus
{
    public const FINAL_STATES = ['succeeded', 'failed', 'dead', 'cancelled'];

    /**
     * @param string $state accepted, queued, running, succeeded, failed, dead or cancelled
     * @param int $percent how far it is
     * @param string $stage what is done at the moment, empty if nothing is
     * @param string|null $error why it did not succeed, in a sentence for people
     * @param array<string, string> $links addresses by name: `self`, `events`, and once it succeeded `preview`,
     *     `manifest`, `tiles`
     * @param array<string, mixed> $all everything that the platform says (`docs/reference/http.md`, model Render)
     */
    public function __construct(
        public readonly string $job,
        public readonly string $state,
        public readonly int $percent = 0,
        public readonly string $stage = '',
        public readonly ?string $error = null,
        public readonly array $links = [],
        public readonly array $all = [],
    ) {
    }

    /** Whether nothing will change any more. */
    public function isFinal(): bool
    {
        return in_array($this->state, self::FINAL_STATES, true);
    }

    public function succeeded(): bool
    {
        return $this->state === 'succeeded';
    }
}
