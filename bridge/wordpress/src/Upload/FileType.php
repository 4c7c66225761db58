<?php

declare(strict_types=1);

namespace Bulkhead\WordPress\Upload;

/** The file types that Bulkhead stores. The extension determines the type, and the first bytes must confirm it. */
enum FileType: string
{
    case Dxf = 'image/vnd.dxf';
    case Dwg = 'image/vnd.dwg';
    case Pdf = 'application/pdf';
    case Svg = 'image/svg+xml';
    case Tiff = 'image/tiff';

    /** Number of bytes needed to check a file type. */
    public const HEAD_SIZE = 4096;

    /** Number of bytes in which a PDF must have its header. */
    private const PDF_HEAD_SIZE = 1024;

    /** Returns the type for the extension of a file name; null if it is not a drawing. */
    public static function fromFilename(string $filename): ?self
    {
        $extension = strtolower(pathinfo($filename, PATHINFO_EXTENSION));
        foreach (self::cases() as $type) {
            if (in_array($extension, $type->extensions(), true)) {
                return $type;
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

    /** Whether the first bytes of a file match this type. Only the platform can tell whether the file is renderable. */
    public function matches(string $head): bool
    {
        $head = str_starts_with($head, "\xEF\xBB\xBF") ? substr($head, 3) : $head;

        return match ($this) {
            self::Dxf => str_starts_with($head, "AutoCAD Binary DXF\r\n\x1A")
                || preg_match('/^(\s*999\r?\n[^\n]*\n)*\s*0\r?\nSECTION\r?\n/', $head) === 1,
            self::Dwg => preg_match('/^AC10\d\d/', $head) === 1,
            self::Pdf => str_contains(substr($head, 0, self::PDF_HEAD_SIZE), '%PDF-'),
            self::Svg => preg_match('/^(\s|<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>[]*(\[[^]]*\])?\s*>)*<svg[\s>]/s', $head) === 1,
            self::Tiff => preg_match('/^(II[*+]\x00|MM\x00[*+])/', $head) === 1,
        };
    }

    /** @return array<string, string> MIME types in the format of WordPress: `tif|tiff` => type */
    public static function mimeTypes(): array
    {
        $mimeTypes = [];
        foreach (self::cases() as $type) {
            $mimeTypes[implode('|', $type->extensions())] = $type->value;
        }

        return $mimeTypes;
    }
}
