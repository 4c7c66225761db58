<?php

declare(strict_types=1);

namespace Bulkhead\WordPress;

/** The kinds of files that go to Bulkhead: known by their names, and held to it by how they begin. */
enum Kind: string
{
    case Dxf = 'image/vnd.dxf';
    case Dwg = 'image/vnd.dwg';
    case Pdf = 'application/pdf';
    case Svg = 'image/svg+xml';
    case Tiff = 'image/tiff';

    /** Bytes from the beginning by which a kind is told. */
    public const HEAD = 4096;

    /** Bytes in which a PDF has to say that it is one. */
    private const PDF_HEAD = 1024;

    /** The kind that a name promises; null for what is no drawing. */
    public static function promisedBy(string $filename): ?self
    {
        $extension = strtolower(pathinfo($filename, PATHINFO_EXTENSION));
        foreach (self::cases() as $kind) {
            if (in_array($extension, $kind->extensions(), true)) {
                return $kind;
            }
        }

        return null;
    }

    /** @return list<string> */
    public function extensions(): array
    {
        return match ($this) {
            self::Dxf => ['dxf'],
            self::Dwg => ['dwg'],
            self::Pdf => ['pdf'],
            self::Svg => ['svg'],
            self::Tiff => ['tif', 'tiff'],
        };
    }

    /** Whether a file that begins so is of this kind. Whether it can be drawn is for the platform to say. */
    public function isOf(string $head): bool
    {
        $head = str_starts_with($head, "\xEF\xBB\xBF") ? substr($head, 3) : $head;

        return match ($this) {
            self::Dxf => str_starts_with($head, "AutoCAD Binary DXF\r\n\x1A")
                || preg_match('/^(\s*999\r?\n[^\n]*\n)*\s*0\r?\nSECTION\r?\n/', $head) === 1,
            self::Dwg => preg_match('/^AC10\d\d/', $head) === 1,
            self::Pdf => str_contains(substr($head, 0, self::PDF_HEAD), '%PDF-'),
            self::Svg => preg_match('/^(\s|<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>[]*(\[[^]]*\])?\s*>)*<svg[\s>]/s', $head) === 1,
            self::Tiff => preg_match('/^(II[*+]\x00|MM\x00[*+])/', $head) === 1,
        };
    }

    /** @return array<string, string> as WordPress lists types: `tif|tiff` => type */
    public static function mimes(): array
    {
        $mimes = [];
        foreach (self::cases() as $kind) {
            $mimes[implode('|', $kind->extensions())] = $kind->value;
        }

        return $mimes;
    }
}
