<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\RenderOptions;

/** How drawings are drawn and shown. Where the platform is, and its secrets, are no settings: see Configuration. */
final class Settings
{
    public const OPTION = 'bulkhead_settings';

    /** Pixels that a drawing in a post may be high. */
    public const HEIGHTS = [200, 2000];

    /** @param bool $deleteDrawings whether drawings go, too, when the plugin is deleted */
    private function __construct(
        public readonly int $width = 2048,
        public readonly string $background = 'light',
        public readonly int $height = 600,
        public readonly bool $deleteDrawings = false,
    ) {
    }

    /** What a form or the database says, as far as it is sensible; the default for all else. */
    public static function of(mixed $fields): self
    {
        $fields = is_array($fields) ? $fields : [];
        $default = new self();
        [, $least, $most] = RenderOptions::RULES['width'];
        $background = $fields['background'] ?? null;
        $known = array_slice(RenderOptions::RULES['background'], 1);

        return new self(
            self::between($fields['width'] ?? null, $least, $most) ?? $default->width,
            in_array($background, $known, true) ? $background : $default->background,
            self::between($fields['height'] ?? null, ...self::HEIGHTS) ?? $default->height,
            filter_var($fields['delete_drawings'] ?? false, FILTER_VALIDATE_BOOL),
        );
    }

    public static function stored(): self
    {
        return self::of(get_option(self::OPTION));
    }

    public function options(): RenderOptions
    {
        return new RenderOptions(width: $this->width, background: $this->background);
    }

    /** @return array<string, int|string|bool> as the database has it */
    public function toArray(): array
    {
        return [
            'width' => $this->width,
            'background' => $this->background,
            'height' => $this->height,
            'delete_drawings' => $this->deleteDrawings,
        ];
    }

    private static function between(mixed $value, int $least, int $most): ?int
    {
        $number = filter_var($value, FILTER_VALIDATE_INT, ['options' => ['min_range' => $least, 'max_range' => $most]]);

        return $number === false ? null : $number;
    }
}
