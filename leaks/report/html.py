"""A hunt as one HTML page that needs nothing else: verdict, plot, roots, flame graph."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from leaks.report import Report
from leaks.report.flame_graph import render_flame_graph
from leaks.report.plot import format_bytes, render_plot
from leaks.report.serialize import MAX_ENTRIES
from leaks.verdict import VerdictKind

# What each verdict means, for somebody who reads it for the first time.
VERDICT_MEANINGS = {
    VerdictKind.CLEAN: "Nothing stays behind.",
    VerdictKind.LEAK: "Heap memory is lost, again and again.",
    VerdictKind.SPILL: "Pixel caches or files stay behind outside the heap, where the resident set does not show them.",
    VerdictKind.PYTHON: "Python objects hold it: a list that grows, or cycles that wait for the collector.",
    VerdictKind.FRAGMENTATION: "Nothing is lost, but free memory lies between blocks in use and does not go back.",
    VerdictKind.GROWTH: "Memory grew and stopped growing: a cache that is full now.",
}

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --paper: #fff; --line: #d9dee7; --live: #c2410c;
  --resident: #2563eb; --fault: #b91c1c; --fine: #15803d; --warm: #8882; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #98a2b3; --paper: #14181f; --line: #333b48;
  --live: #fb923c; --resident: #60a5fa; --fault: #f87171; --fine: #4ade80; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 1100px; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.verdict { font-weight: 700; text-transform: uppercase; } .fault { color: var(--fault); } .fine { color: var(--fine); }
.soft, .note { color: var(--soft); fill: var(--soft); }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; } svg text { fill: var(--soft); }
polyline { fill: none; stroke-width: 2; } polyline.live { stroke: var(--live); }
polyline.resident { stroke: var(--resident); stroke-dasharray: 5 3; }
svg text.live, b.live { fill: var(--live); color: var(--live); }
svg text.resident, b.resident { fill: var(--resident); color: var(--resident); }
.grid { stroke: var(--line); } .warm { fill: var(--warm); } .kept { fill: var(--fault); opacity: .7; }
.flame { font: 11px ui-monospace, monospace; } .flame text { fill: #111; pointer-events: none; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .35rem .6rem .35rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } td.number, th.number { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: 13px ui-monospace, monospace; } details code { display: block; color: var(--soft); }
"""


def write_html(report: Report, path: Path) -> None:
    """Write the page."""
    title = escape(f"{report.subject}: {report.verdict.kind}")
    body = "\n".join(_body(report))
    path.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n",
        encoding="utf-8",
    )


def _body(report: Report) -> Iterator[str]:
    verdict = report.verdict
    look = "fault" if verdict.kind.is_fault else "fine"
    yield f'<h1><span class="verdict {look}">{escape(verdict.kind)}</span> {escape(report.subject)}</h1>'
    yield f"<p>{escape(verdict.explanation)} {VERDICT_MEANINGS[verdict.kind]}</p>"
    yield (
        f'<p class="soft">Instrument: {report.instrument}. {report.jobs} jobs, {verdict.measured} of them measured, '
        f"in {report.seconds:.1f} s. {escape(report.limitations)}</p>"
    )
    if report.samples and report.samples.live:
        yield "<h2>Bytes against jobs</h2>"
        yield (
            '<p class="soft"><b class="live">On the heap</b> (left), <b class="resident">resident set</b> (right, '
            "decides nothing)"
            + (", bars: bytes that each job left for good" if report.samples.kept_bytes else "")
            + ".</p>"
        )
        yield render_plot(report.samples)
    if report.roots:
        yield "<h2>Who lost it</h2>"
        yield from _roots(report)
    if graph := render_flame_graph(report.sites):
        yield "<h2>Where it was allocated</h2>"
        yield '<p class="soft">As wide as its bytes; callers above. Point at a box for numbers.</p>'
        yield graph
    if report.files:
        yield "<h2>What the tools wrote</h2><ul>"
        yield from (f"<li><code>{escape(file.name)}</code></li>" for file in report.files)
        yield "</ul>"


def _roots(report: Report) -> Iterator[str]:
    measured = report.verdict.measured or 1
    yield (
        '<table><tr><th>Lost by<th>Allocated by<th class="number">Bytes a job<th class="number">Blocks a job'
        '<th class="number">Roots</tr>'
    )
    for root in report.roots[:MAX_ENTRIES]:
        frames = "".join(f"<code>{escape(frame.label)}</code>" for frame in root.stack)
        stack = f"<details><summary>stack</summary>{frames}</details>" if frames else ""
        each = root.bytes / measured
        yield (
            f"<tr><td><code>{escape(root.lost_by)}</code>{stack}<td><code>{escape(root.allocated_by)}</code>"
            f'<td class="number" title="{format_bytes(each)}">{each:,.0f}<td class="number">{root.blocks / measured:,.1f}'
            f'<td class="number">{root.count:,}</tr>'
        )
    yield "</table>"
