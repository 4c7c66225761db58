<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

use Bulkhead\RenderOptions;

/** How drawings are rendered and displayed. For the connection and its secrets, see Configuration. */
final class Settings
{
    public const OPTION = 'bulkhead_settings';

    /** Minimum and maximum height of a drawing in a post, pixels. */
    public const HEIGHT_LIMITS = [200, 2000];

    /** @param bool $deleteDrawings whether to delete all drawings when the plugin is deleted */
    private function __construct(
        public readonly int $width = 2048,
        public readonly string $background = 'light',
        public readonly int $height = 600,
        public readonly bool $deleteDrawings = false,
    ) {
    }

    /** Reads values from a form or the database; invalid values are replaced by the defaults. */
    public static function fromArray(mixed $fields): self
    {
        $fields = is_array($fields) ? $fields : [];
        $default = new self();
        [, $minimum, $maximum] = RenderOptions::RULES['width'];
        $background = $fields['background'] ?? null;
        $choices = array_slice(RenderOptions::RULES['background'], 1);

        return new self(
            self::integerBetween($fields['width'] ?? null, $minimum, $maximum) ?? $default->width,
            in_array($background, $choices, true) ? $background : $default->background,
            self::integerBetween($fields['height'] ?? null, ...self::HEIGHT_LIMITS) ?? $default->height,
            filter_var($fields['delete_drawings'] ?? false, FILTER_VALIDATE_BOOL),
        );
    }

    public static function stored(): self
    {
        return self::fromArray(get_option(self::OPTION));
    }

    public function renderOptions(): RenderOptions
    {
        return new RenderOptions(width: $this->width, background: $this->background);
    }

    /** @return array<string, int|string|bool> as stored in the database */
    public function toArray(): array
    {
        return [
            'width' => $this->width,
            'background' => $this->background,
            'height' => $this->height,
            'delete_drawings' => $this->deleteDrawings,
        ];
    }

    private static function integerBetween(mixed $value, int $minimum, int $maximum): ?int
    {
        $number = filter_var($value, FILTER_VALIDATE_INT, ['options' => ['min_range' => $minimum, 'max_range' => $maximum]]);

        return $number === false ? null : $number;
    }
}
