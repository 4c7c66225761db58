"""A hunt as one self-contained HTML page: verdict, plot, roots and flame graph. The page is in `templates/`."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from leaks.report import Report
from leaks.report.flame_graph import lay_out_flame_graph
from leaks.report.plot import lay_out_plot
from leaks.report.serialize import MAX_ENTRIES
from leaks.verdict import VerdictKind
from tasks.utils.units import format_bytes

# What each verdict means, for readers who see it for the first time.
VERDICT_MEANINGS = {
    VerdictKind.CLEAN: "There is no leak.",
    VerdictKind.LEAK: "Heap memory is leaked repeatedly.",
    VerdictKind.SPILL: "Pixel caches or files are leaked outside the heap, where the resident set does not show them.",
    VerdictKind.PYTHON: "Python objects hold the memory: a list that grows, or cycles that wait for the collector.",
    VerdictKind.FRAGMENTATION: "There is no leak, but free memory between used blocks cannot be returned.",
    VerdictKind.GROWTH: "Memory grew and stopped growing, like a cache that is full.",
}


def write_html(report: Report, path: Path) -> None:
    """Write the page."""
    page = _environment().get_template("report.html")
    measurements = report.measurements
    path.write_text(
        page.render(
            report=report,
            verdict=report.verdict,
            meaning=VERDICT_MEANINGS[report.verdict.kind],
            measured=report.verdict.measured or 1,
            max_entries=MAX_ENTRIES,
            plot=lay_out_plot(measurements) if measurements and measurements.live else None,
            flame_graph=lay_out_flame_graph(report.sites),
        ),
        encoding="utf-8",
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("leaks.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["bytes"] = format_bytes
    environment.filters["pixels"] = lambda number: f"{number:.1f}"
    return environment
