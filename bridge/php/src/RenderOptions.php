<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\Invalid;

/**
 * How a drawing is drawn: `new RenderOptions(width: 1024, tiles: true)`. What is left out has the platform's default.
 *
 * The bounds are those of `docs/reference/schemas/render.json`, which explains each option; a test holds them together.
 */
final class RenderOptions
{
    /** Kind, then least and most of a number, most characters or the pattern of a text, or its values. */
    public const RULES = [
        'width' => ['integer', 16, 16_383],
        'background' => ['choice', 'light', 'dark', 'transparent'],
        'layout' => ['text', 255],
        'page' => ['integer', 1, 100_000],
        'tiles' => ['boolean'],
        'layer_tiles' => ['boolean'],
        'tile_layer' => ['integer', -1, 99_999],
        'line_work' => ['boolean'],
        'dpi' => ['integer', 0, 2400],
        'scale' => ['integer', 1, 1_000_000],
        'layers' => ['text', 4096],
        'line_weight' => ['integer', 10, 1000],
        'region' => ['region', '^(\d{1,5}(,\d{1,5}){3})?$'],
        'format' => ['choice', 'webp', 'webp-lossless', 'webp-lossy', 'png'],
    ];

    /** Parts of a side that a region is given in, and the least that it may show. */
    private const PERMYRIAD = 10_000;
    private const MIN_REGION = 100;

    /** @var array<string, int|string|bool> */
    private readonly array $given;

    /** @throws Invalid */
    public function __construct(
        ?int $width = null,
        ?string $background = null,
        ?string $layout = null,
        ?int $page = null,
        ?bool $tiles = null,
        ?bool $layer_tiles = null,
        ?int $tile_layer = null,
        ?bool $line_work = null,
        ?int $dpi = null,
        ?int $scale = null,
        ?string $layers = null,
        ?int $line_weight = null,
        ?string $region = null,
        ?string $format = null,
    ) {
        $given = array_filter(get_defined_vars(), static fn (mixed $value): bool => $value !== null);
        foreach ($given as $name => $value) {
            self::check($name, $value);
        }
        ksort($given);
        $this->given = $given;
    }

    /**
     * Options by name, each of its own type.
     *
     * @param array<string, mixed> $options
     * @throws Invalid
     */
    public static function of(array $options): self
    {
        self::refuseUnknown($options);
        try {
            return new self(...$options);
        } catch (\TypeError) {
            throw new Invalid('Options are integers, texts and booleans: ' . Json::encode($options) . ' has something else.');
        }
    }

    /**
     * Options from the fields of a form, where everything is text.
     *
     * @param array<string, mixed> $fields
     * @throws Invalid
     */
    public static function fromForm(array $fields): self
    {
        self::refuseUnknown($fields);
        foreach ($fields as $name => $text) {
            $fields[$name] = match (self::RULES[$name][0]) {
                'integer' => filter_var($text, FILTER_VALIDATE_INT, FILTER_NULL_ON_FAILURE),
                'boolean' => filter_var($text, FILTER_VALIDATE_BOOL, FILTER_NULL_ON_FAILURE),
                default => is_string($text) ? $text : null,
            } ?? throw new Invalid("The option $name does not take this value.");
        }

        return self::of($fields);
    }

    /** @return array<string, int|string|bool> those that were given */
    public function toArray(): array
    {
        return $this->given;
    }

    /** As JSON: keys in order, `{}` if there is none. */
    public function canonical(): string
    {
        return Json::encode((object) $this->given);
    }

    public function tiles(): bool
    {
        return $this->given['tiles'] ?? false;
    }

    /** @param array<string, mixed> $options */
    private static function refuseUnknown(array $options): void
    {
        if ($unknown = array_diff_key($options, self::RULES)) {
            $known = implode(', ', array_keys(self::RULES));
            throw new Invalid('There is no option ' . Json::encode(array_key_first($unknown)) . ". Known: $known.");
        }
    }

    private static function check(string $name, int|string|bool $value): void
    {
        $rule = self::RULES[$name];
        $wrong = match ($rule[0]) {
            'boolean' => null,
            'integer' => $value < $rule[1] || $value > $rule[2] ? "must be from $rule[1] to $rule[2]" : null,
            'choice' => in_array($value, array_slice($rule, 1), true)
                ? null : 'must be one of ' . implode(', ', array_slice($rule, 1)),
            'text' => Text::fits($value, $rule[1]) ? null : "must be UTF-8 of at most $rule[1] characters",
            'region' => self::isRegion($value, $rule[1]) ? null : 'must be left,top,right,bottom from 0 to '
                . self::PERMYRIAD . ', at least ' . self::MIN_REGION . ' apart, such as 0,0,5000,5000',
        };
        if ($wrong !== null) {
            throw new Invalid("The option $name $wrong.");
        }
    }

    private static function isRegion(string $region, string $pattern): bool
    {
        if ($region === '') {
            return true;
        }
        if (!Text::matches($region, $pattern)) {
            return false;
        }
        [$left, $top, $right, $bottom] = array_map(intval(...), explode(',', $region));

        return min($right - $left, $bottom - $top) >= self::MIN_REGION && max($right, $bottom) <= self::PERMYRIAD;
    }
}
