<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\InvalidRequest;
use Bulkhead\Support\Json;
use Bulkhead\Support\Text;

/**
 * Options of a render: `new RenderOptions(width: 1024, tiles: true)`. Omitted options have the platform's defaults.
 *
 * `docs/reference/schemas/render.json` describes each option. The rules are those of the schema; a test compares them.
 */
final class RenderOptions
{
    /** Type, then the minimum and maximum of a number, the maximum length or pattern of a text, or the choices. */
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

    /** A region is given in ten-thousandths of the drawing's sides, and each of its sides must span MIN_REGION of them. */
    private const REGION_SCALE = 10_000;
    private const MIN_REGION = 100;

    /** @var array<string, int|string|bool> */
    private readonly array $values;

    /** @throws InvalidRequest */
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
        $values = array_filter(get_defined_vars(), static fn (mixed $value): bool => $value !== null);
        foreach ($values as $name => $value) {
            self::validate($name, $value);
        }
        ksort($values);
        $this->values = $values;
    }

    /**
     * Creates options from an array of typed values.
     *
     * @param array<string, mixed> $options
     * @throws InvalidRequest
     */
    public static function fromArray(array $options): self
    {
        self::rejectUnknown($options);
        try {
            return new self(...$options);
        } catch (\TypeError) {
            throw new InvalidRequest('Options must be integers, strings or booleans: ' . Json::encode($options) . '.');
        }
    }

    /**
     * Creates options from the fields of a form, whose values are strings.
     *
     * @param array<string, mixed> $fields
     * @throws InvalidRequest
     */
    public static function fromForm(array $fields): self
    {
        self::rejectUnknown($fields);
        foreach ($fields as $name => $text) {
            $fields[$name] = match (self::RULES[$name][0]) {
                'integer' => filter_var($text, FILTER_VALIDATE_INT, FILTER_NULL_ON_FAILURE),
                'boolean' => filter_var($text, FILTER_VALIDATE_BOOL, FILTER_NULL_ON_FAILURE),
                default => is_string($text) ? $text : null,
            } ?? throw new InvalidRequest("Invalid value for the option $name.");
        }

        return self::fromArray($fields);
    }

    /** @return array<string, int|string|bool> without the omitted options */
    public function toArray(): array
    {
        return $this->values;
    }

    /** Canonical JSON: sorted keys, `{}` if all options are omitted. */
    public function canonical(): string
    {
        return Json::encode((object) $this->values);
    }

    public function tiles(): bool
    {
        return $this->values['tiles'] ?? false;
    }

    /** @param array<string, mixed> $options */
    private static function rejectUnknown(array $options): void
    {
        if ($unknown = array_diff_key($options, self::RULES)) {
            $known = implode(', ', array_keys(self::RULES));
            throw new InvalidRequest('Unknown option ' . Json::encode(array_key_first($unknown)) . ". Valid options: $known.");
        }
    }

    private static function validate(string $name, int|string|bool $value): void
    {
        $rule = self::RULES[$name];
        $violation = match ($rule[0]) {
            'boolean' => null,
            'integer' => $value < $rule[1] || $value > $rule[2] ? "must be from $rule[1] to $rule[2]" : null,
            'choice' => in_array($value, array_slice($rule, 1), true)
                ? null : 'must be one of ' . implode(', ', array_slice($rule, 1)),
            'text' => Text::isWithin($value, $rule[1]) ? null : "must be UTF-8 of at most $rule[1] characters",
            'region' => self::isRegion($value, $rule[1]) ? null : 'must be left,top,right,bottom from 0 to '
                . self::REGION_SCALE . ', at least ' . self::MIN_REGION . ' apart, such as 0,0,5000,5000',
        };
        if ($violation !== null) {
            throw new InvalidRequest("The option $name $violation.");
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

        return min($right - $left, $bottom - $top) >= self::MIN_REGION && max($right, $bottom) <= self::REGION_SCALE;
    }
}
