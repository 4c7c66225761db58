<?php

declare(strict_types=1);

namespace Bulkhead\Tests;

/** What Python wrote (`python -m tests.contract.vectors`). */
final class Vectors
{
    /** @return list<\stdClass> objects and lists are told apart */
    public static function read(string $name): array
    {
        $text = file_get_contents(__DIR__ . "/vectors/$name");

        return json_decode((string) $text, false, 64, JSON_THROW_ON_ERROR);
    }

    /** A value as text that is the same for the same JSON, whatever the order of its keys. */
    public static function text(mixed $value): string
    {
        return json_encode(self::sorted($value), JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
    }

    private static function sorted(mixed $value): mixed
    {
        if ($value instanceof \stdClass) {
            $fields = (array) $value;
            ksort($fields, SORT_STRING);

            return (object) array_map(self::sorted(...), $fields);
        }

        return is_array($value) ? array_map(self::sorted(...), $value) : $value;
    }
}
