"""DXF drawings that insert themselves, have extreme numbers, or reference other files."""

from pathlib import Path

from tests.hostile.case import Expected, hostile_file, hostile_files

REFUSED, FAILS, CONTAINED, RENDERS = Expected.REFUSED, Expected.DAMAGED, Expected.CONTAINED, Expected.RENDERS

LINE = "0 LINE|8 0|10 0|20 0|11 100|21 50"
BINARY_MAGIC = b"AutoCAD Binary DXF\r\n\x1a\x00"


def tags(text: str) -> str:
    """Convert `0 LINE|8 0` to tags: a line for each code and each value."""
    return "".join(
        "{}\n{}\n".format(*(tag.split(" ", 1) if " " in tag else (tag, ""))) for tag in text.split("|") if tag
    )


def section(name: str, content: str) -> str:
    """Return a section."""
    return tags(f"0 SECTION|2 {name}") + tags(content) + tags("0 ENDSEC")


def dxf(entities: str, blocks: str = "", header: str = "", version: str = "AC1009") -> bytes:
    """Return a drawing with these entities and blocks."""
    head = section("HEADER", f"9 $ACADVER|1 {version}|{header}")
    return (head + section("BLOCKS", blocks) + section("ENTITIES", entities) + tags("0 EOF")).encode()


def block(name: str, content: str, extra: str = "") -> str:
    """Return the tags of a block."""
    return f"0 BLOCK|8 0|2 {name}|70 0|10 0|20 0|3 {name}|{extra}|{content}|0 ENDBLK|8 0|"


def insert(name: str, extra: str = "") -> str:
    """Return the tags of an insert."""
    return f"0 INSERT|8 0|2 {name}|10 1|20 1|{extra}|"


def nested(depth: int, inner: str, times: int = 1) -> bytes:
    """Return nested blocks, each inserting the next `times` times."""
    blocks = block("B0", inner)
    blocks += "".join(block(f"B{number}", insert(f"B{number - 1}") * times) for number in range(1, depth))
    return dxf(insert(f"B{depth - 1}"), blocks)


def hatch(pattern: str, size: str = "1000") -> bytes:
    """Return a square hatch with a pattern of one line: angle, base, offset, dashes."""
    corners = "".join(f"10 {x}|20 {y}|" for x, y in (("0", "0"), (size, "0"), (size, size), ("0", size)))
    outline = f"91 1|92 2|72 0|73 1|93 4|{corners}97 0|"
    filled = f"0 HATCH|5 1F|100 AcDbEntity|8 0|100 AcDbHatch|10 0|20 0|30 0|2 DENSE|70 0|71 0|{outline}"
    return dxf(f"{LINE}|{filled}75 0|76 1|52 0|41 1|77 0|78 1|{pattern}98 0|", version="AC1015")


def points(count: int) -> bytes:
    """Return an R12 polyline of `count` vertices."""
    vertices = "".join(f"0 VERTEX|8 0|10 {number % 997}|20 {number % 991}|" for number in range(count))
    return dxf(f"0 POLYLINE|8 0|66 1|{vertices}0 SEQEND|8 0|")


hostile_files(
    "dxf",
    CONTAINED,
    {
        "block_inserts_itself": lambda _: dxf(LINE + "|" + insert("A"), block("A", LINE + "|" + insert("A"))),
        "blocks_insert_each_other": lambda _: dxf(
            insert("A") + LINE, block("A", insert("B")) + block("B", LINE + "|" + insert("A"))
        ),
        "blocks_2000_deep": lambda _: nested(2000, LINE),
        "blocks_300_deep": lambda _: nested(300, LINE),
        "array_of_billions_of_lines": lambda _: dxf(insert("A", "70 32767|71 32767|44 1|45 1"), block("A", LINE)),
        "array_beyond_sixteen_bits": lambda _: dxf(
            insert("A", "70 1000000000|71 1000000000|44 1|45 1"), block("A", LINE)
        ),
        "array_of_negative_count": lambda _: dxf(
            LINE + "|" + insert("A", "70 -5|71 -2147483648|44 1|45 1"), block("A", LINE)
        ),
        "coordinates_nan": lambda _: dxf("0 LINE|8 0|10 nan|20 nan|11 nan|21 nan|" + LINE),
        "coordinates_nothing_but_nan": lambda _: dxf("0 LINE|8 0|10 nan|20 nan|11 nan|21 nan"),
        "coordinates_infinite": lambda _: dxf("0 LINE|8 0|10 0|20 0|11 inf|21 -inf|" + LINE),
        "coordinates_1e300": lambda _: dxf("0 LINE|8 0|10 -1e300|20 -1e300|11 1e300|21 1e300|" + LINE),
        "coordinates_1e38": lambda _: dxf("0 LINE|8 0|10 -3e38|20 -3e38|11 3e38|21 3e38|" + LINE),
        "coordinates_1e999": lambda _: dxf("0 LINE|8 0|10 0|20 0|11 1e999|21 0|" + LINE),
        "circle_of_1e300": lambda _: dxf("0 CIRCLE|8 0|10 0|20 0|40 1e300|" + LINE),
        "circle_of_nan": lambda _: dxf("0 CIRCLE|8 0|10 0|20 0|40 nan|" + LINE),
        "arc_of_1e18_degrees": lambda _: dxf("0 ARC|8 0|10 0|20 0|40 5|50 0|51 1e18|" + LINE),
        "line_without_length": lambda _: dxf("0 LINE|8 0|10 5|20 5|11 5|21 5"),
        "scale_of_1e200_nested": lambda _: dxf(
            LINE + "|" + insert("A", "41 1e200|42 1e200"),
            block("A", insert("B", "41 1e200|42 1e200")) + block("B", LINE),
        ),
        "scale_of_zero": lambda _: dxf(
            LINE + "|" + insert("A", "41 0|42 0|43 0"), block("A", "0 CIRCLE|8 0|10 0|20 0|40 5")
        ),
        "extrusion_of_nothing": lambda _: dxf(LINE + "|0 CIRCLE|8 0|10 0|20 0|40 5|210 0|220 0|230 0"),
        "hatch_of_a_billion_lines": lambda _: hatch("53 45|43 0|44 0|45 0.000001|46 0.000001|79 0|"),
        "hatch_of_a_billion_dashes": lambda _: hatch("53 0|43 0|44 0|45 0|46 1|79 2|49 0.0000001|49 -0.0000001|"),
        "hatch_without_distance": lambda _: hatch("53 45|43 0|44 0|45 0|46 0|79 0|"),
        "hatch_of_nan": lambda _: hatch("53 nan|43 nan|44 nan|45 nan|46 nan|79 1|49 nan|"),
        "hatch_of_1e300": lambda _: hatch("53 45|43 0|44 0|45 1|46 1|79 0|", "1e300"),
        "polyline_of_300000": lambda _: points(300_000),
        "polyline_says_billions": lambda _: dxf(
            LINE + "|0 LWPOLYLINE|5 2A|100 AcDbEntity|8 0|100 AcDbPolyline|90 2000000000|70 0|10 0|20 0|10 9|20 9",
            version="AC1015",
        ),
        "polyline_width_1e300": lambda _: dxf(
            LINE + "|0 LWPOLYLINE|5 2A|100 AcDbEntity|8 0|100 AcDbPolyline|90 2|70 0|43 1e300|10 0|20 0|10 9|20 9",
            version="AC1015",
        ),
        "spline_of_odd_knots": lambda _: dxf(
            LINE
            + "|0 SPLINE|5 2A|100 AcDbEntity|8 0|100 AcDbSpline|70 8|71 99|72 3|73 2|40 0|40 nan|40 1|10 0|20 0|10 9",
            version="AC1015",
        ),
        "mesh_of_billions": lambda _: dxf(LINE + "|0 POLYLINE|8 0|66 1|70 16|71 32767|72 32767|0 SEQEND|8 0"),
        "text_of_a_megabyte": lambda _: dxf(LINE + "|0 TEXT|8 0|10 0|20 0|40 5|1 " + "W" * 1_000_000),
        "text_of_height_1e300": lambda _: dxf(LINE + "|0 TEXT|8 0|10 0|20 0|40 1e300|1 W"),
        "mtext_nested_without_end": lambda _: dxf(
            LINE + "|0 MTEXT|5 2A|100 AcDbEntity|8 0|100 AcDbMText|10 0|20 0|40 5|1 " + "{\\H2x;" * 40_000 + "W",
            version="AC1015",
        ),
        "line_type_without_length": lambda _: dxf("0 LINE|8 0|6 EVIL|10 0|20 0|11 100|21 0"),
        "xref_to_a_file": lambda outside: dxf(
            LINE + "|" + insert("X"), f"0 BLOCK|8 0|2 X|70 4|10 0|20 0|3 X|1 {outside}/secret.dxf|0 ENDBLK|8 0|"
        ),
        "xref_to_passwd": lambda _: dxf(
            LINE + "|" + insert("X"), "0 BLOCK|8 0|2 X|70 4|10 0|20 0|3 X|1 /etc/passwd|0 ENDBLK|8 0|"
        ),
        "image_elsewhere": lambda outside: _with_image(f"{outside}/secret.png"),
        "image_on_the_net": lambda _: _with_image("http://127.0.0.1:9/secret.png"),
        "font_elsewhere": lambda outside: _with_font(f"{outside}/secret.ttf"),
        "underlay_elsewhere": lambda outside: _with_underlay(f"{outside}/secret.pdf"),
        "code_page_unknown": lambda _: dxf(LINE, header="9 $DWGCODEPAGE|3 ../../etc/passwd|"),
        "codes_that_are_words": lambda _: dxf(LINE).replace(b"\n10\n", b"\nten\n"),
        "codes_beyond_all": lambda _: dxf(LINE + "|99999999999999999999 x|-5 y|" + LINE),
        "numbers_with_millions_of_digits": lambda _: dxf(
            "0 LINE|8 0|62 " + "9" * 1_000_000 + "|10 0|20 0|11 1|21 1|" + LINE
        ),
        "one_line_of_four_megabytes": lambda _: dxf(LINE + "|999 " + "x" * 4_000_000),
        "sections_never_closed": lambda _: (tags("0 SECTION|2 ENTITIES") * 20_000 + tags("0 EOF")).encode(),
        "sections_by_the_thousand": lambda _: (section("ENTITIES", LINE) * 9000 + tags("0 EOF")).encode(),
        "lines_lost": lambda _: dxf(LINE).replace(b"\n8\n0\n", b"\n0\n", 1),
        "zero_bytes_inside": lambda _: dxf(LINE + "|0 TEXT|8 0|10 0|20 0|40 5|1 a\0b"),
        "handles_all_alike": lambda _: dxf((LINE + "|5 1|") * 5000),
        "layers_by_the_thousand": lambda _: dxf(
            "".join(f"0 LINE|8 L{number}|10 0|20 {number}|11 9|21 {number}|" for number in range(3000))
        ),
        "dimension_of_itself": lambda _: dxf(
            LINE + "|0 DIMENSION|8 0|2 *D1|10 0|20 0|70 0", block("*D1", "0 DIMENSION|8 0|2 *D1|10 0|20 0|70 0")
        ),
        "leaders_to_nowhere": lambda _: dxf(
            LINE + "|0 LEADER|5 2A|100 AcDbEntity|8 0|100 AcDbLeader|340 FFFF|76 9999|10 0|20 0", version="AC1015"
        ),
    },
)
hostile_files(
    "dxf",
    REFUSED,
    {
        "no_end": lambda _: dxf(LINE).removesuffix(b"0\nEOF\n"),
        "binary_without_end": lambda _: BINARY_MAGIC + b"\x00SECTION\x00\x02ENTITIES\x00\x00LINE\x00",
    },
)
hostile_files(
    "dxf",
    FAILS,
    {
        "binary_of_nothing": lambda _: BINARY_MAGIC + b"\x00EOF\x00",
        "binary_cut_inside_a_number": lambda _: (
            BINARY_MAGIC + b"\x00SECTION\x00\x02ENTITIES\x00\x00LINE\x00\x0a\x00\x00\x00EOF\x00"
        ),
        "binary_rubbish": lambda _: BINARY_MAGIC + bytes(range(256)) * 40 + b"\x00EOF\x00",
        "nothing_inside": lambda _: dxf(""),
        "only_an_end": lambda _: (tags("0 SECTION|2 HEADER|0 EOF")).encode(),
    },
)


@hostile_file("dxf", CONTAINED, seconds=8)
def billion_inserts(_outside: Path) -> bytes:
    """Nine blocks, each of which inserts the next ten times."""
    return nested(10, LINE, times=10)


@hostile_file("dxf", CONTAINED, seconds=8)
def billion_inserts_of_nothing(_outside: Path) -> bytes:
    """Nothing is ever drawn, so a limit of points does not apply."""
    return nested(10, "", times=10)


def _with_image(path: str) -> bytes:
    objects = f"0 IMAGEDEF|5 90|330 0|100 AcDbRasterImageDef|90 0|1 {path}|10 64|20 64|11 1|21 1|280 1|281 0|"
    image = (
        "0 IMAGE|5 2A|100 AcDbEntity|8 0|100 AcDbRasterImage|90 0|10 0|20 0|30 0|11 1|21 0|31 0|12 0|22 1|32 0|"
        "13 64|23 64|340 90|70 7|280 0|281 50|282 50|283 0|71 1|91 2|14 -0.5|24 -0.5|14 63.5|24 63.5|"
    )
    return dxf(f"{LINE}|{image}", version="AC1015").replace(
        b"0\nEOF\n", (section("OBJECTS", objects) + "0\nEOF\n").encode()
    )


def _with_underlay(path: str) -> bytes:
    objects = f"0 PDFDEFINITION|5 90|330 0|100 AcDbUnderlayDefinition|1 {path}|2 1|"
    underlay = (
        "0 PDFUNDERLAY|5 2A|100 AcDbEntity|8 0|100 AcDbUnderlayReference|340 90|10 0|20 0|30 0|280 2|281 80|282 0|"
    )
    return dxf(f"{LINE}|{underlay}", version="AC1015").replace(
        b"0\nEOF\n", (section("OBJECTS", objects) + "0\nEOF\n").encode()
    )


def _with_font(path: str) -> bytes:
    style = f"0 TABLE|2 STYLE|70 1|0 STYLE|2 EVIL|70 0|40 0|41 1|50 0|71 0|42 1|3 {path}|4 {path}|0 ENDTAB|"
    plain = dxf(f"{LINE}|0 TEXT|8 0|10 0|20 0|40 5|1 secret|7 EVIL")
    return plain.replace(b"0\nSECTION\n2\nBLOCKS", section("TABLES", style).encode() + b"0\nSECTION\n2\nBLOCKS")
