"""A line plot as SVG: bytes on the heap against jobs, the resident set beside it, and what each job left behind."""

from collections.abc import Iterator, Sequence
from html import escape

from leaks.samples import Samples

WIDTH, HEIGHT = 960, 320
LEFT, RIGHT, TOP, BOTTOM = 86, 86, 16, 44

# Height of the strip of bars below the lines: survivors by job of birth.
BAR_STRIP_HEIGHT = 60

_UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


def format_bytes(count: float) -> str:
    """Bytes as people read them: 277.4 KiB."""
    for size, unit in _UNITS:
        if abs(count) >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,.0f} B"


def render_plot(samples: Samples) -> str:
    """The plot. Left axis: heap; right axis: resident set; grey: warm-up; bars: what is never freed."""
    across = _Scale(1, max(samples.jobs, 2), LEFT, WIDTH - RIGHT)
    floor = HEIGHT - BOTTOM - (BAR_STRIP_HEIGHT if samples.kept_bytes else 0)
    live, resident = _axis(samples.live, floor), _axis(samples.resident, floor)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Bytes against jobs">',
        _warm_up(across(samples.warm_up) - LEFT),
        *_grid(live, "live", LEFT - 8, "end"),
        *_grid(resident, "resident", WIDTH - RIGHT + 8, "start"),
        *_bars(samples, across),
        _line(samples.resident, across, resident, "resident"),
        _line(samples.live, across, live, "live"),
        *_jobs(samples.jobs, across),
        "</svg>",
    ]
    return "\n".join(parts)


def _warm_up(width: float) -> str:
    return (
        f'<rect class="warm" x="{LEFT}" y="{TOP}" width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'
        f'<text class="note" x="{LEFT + 4}" y="{TOP + 12}">warm-up</text>'
    )


class _Scale:
    """Maps numbers to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, number: float) -> float:
        return self.start + (number - self.low) / (self.high - self.low) * (self.end - self.start)


def _axis(numbers: Sequence[int], floor: float) -> _Scale:
    """Room for all numbers. A line that moves by less than a hundredth lies flat in the middle."""
    low, high = min(numbers), max(numbers)
    slack = max(high // 100, 1) if (high - low) * 100 < high else (high - low) // 10
    return _Scale(low - slack, high + slack, floor, TOP)


def _grid(scale: _Scale, kind: str, x: float, anchor: str) -> Iterator[str]:
    steps = 4
    for step in range(steps + 1):
        number = scale.low + (scale.high - scale.low) * step / steps
        y = scale(number)
        if kind == "live":
            yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text class="{kind}" x="{x}" y="{y + 4:.1f}" text-anchor="{anchor}">{escape(format_bytes(number))}</text>'


def _line(numbers: Sequence[int], across: _Scale, up: _Scale, kind: str) -> str:
    points = " ".join(f"{across(job):.1f},{up(number):.1f}" for job, number in enumerate(numbers, 1))
    return f'<polyline class="{kind}" points="{points}"/>'


def _bars(samples: Samples, across: _Scale) -> Iterator[str]:
    counted = samples.kept_bytes[samples.warm_up :]  # what modules and tables take would dwarf all the rest
    most = max(counted, default=0)
    if not most:
        return
    width = max(1.0, (across(2) - across(1)) * 0.7)
    base = HEIGHT - BOTTOM
    for job, kept in enumerate(counted, samples.warm_up + 1):
        if kept:
            height = max(1.5, kept / most * (BAR_STRIP_HEIGHT - 14))
            yield (
                f'<rect class="kept" x="{across(job) - width / 2:.1f}" y="{base - height:.1f}" width="{width:.1f}" '
                f'height="{height:.1f}"><title>job {job}: {kept:,} bytes never freed</title></rect>'
            )


def _jobs(jobs: int, across: _Scale) -> Iterator[str]:
    for job in sorted({1, *(round(jobs * part / 5) for part in range(1, 6))} - {0}):
        yield f'<text class="note" x="{across(job):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{job}</text>'
    yield f'<text class="note" x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">jobs</text>'
