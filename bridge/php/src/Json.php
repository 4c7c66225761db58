<?php

declare(strict_types=1);

namespace Bulkhead;

use Bulkhead\Exception\Invalid;

/** JSON as the Python side writes it: raw UTF-8, slashes as they are, no spaces. */
final class Json
{
    private const FLAGS = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_LINE_TERMINATORS
        | JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR;

    /** @throws Invalid for text that is no UTF-8, and numbers that JSON does not have. */
    public static function encode(mixed $value): string
    {
        try {
            return json_encode($value, self::FLAGS);
        } catch (\JsonException $error) {
            throw new Invalid("This cannot be written as JSON: {$error->getMessage()}.", 0, $error);
        }
    }

    /**
     * An object with its keys in order: the same options are the same text in every language. PHP's empty array
     * becomes `{}`, which it would not by itself.
     *
     * @param array<string, mixed> $fields
     */
    public static function canonical(array $fields): string
    {
        ksort($fields, SORT_STRING);

        return self::encode((object) $fields);
    }

    /**
     * @return array<string, mixed>|null an object's fields; null for anything else
     */
    public static function fields(string $text): ?array
    {
        $fields = json_decode($text, true, 32);

        return is_array($fields) && (!array_is_list($fields) || $fields === []) ? $fields : null;
    }
}
