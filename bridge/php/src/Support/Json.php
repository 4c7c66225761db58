<?php

declare(strict_types=1);

namespace Bulkhead\Support;

use Bulkhead\Exception\InvalidRequest;

/** JSON in the format that Python writes: unescaped UTF-8 and slashes, no whitespace. */
final class Json
{
    private const FLAGS = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_LINE_TERMINATORS
        | JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR;

    /** @throws InvalidRequest for text that is not UTF-8, and for numbers that JSON cannot represent */
    public static function encode(mixed $value): string
    {
        try {
            return json_encode($value, self::FLAGS);
        } catch (\JsonException $error) {
            throw new InvalidRequest("The value cannot be encoded as JSON: {$error->getMessage()}.", 0, $error);
        }
    }

    /**
     * Encodes an object with sorted keys, so that every language writes the same text for the same options. An empty
     * array becomes `{}`.
     *
     * @param array<string, mixed> $fields
     */
    public static function canonical(array $fields): string
    {
        ksort($fields, SORT_STRING);

        return self::encode((object) $fields);
    }

    /**
     * Decodes a JSON object.
     *
     * @return array<string, mixed>|null its fields; null if the text is not a JSON object
     */
    public static function decodeObject(string $text): ?array
    {
        $fields = json_decode($text, true, 32);

        return is_array($fields) && (!array_is_list($fields) || $fields === []) ? $fields : null;
    }
}
