"""The layout of the line plot: heap and resident set over jobs, and the bytes that each job left. All in pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leaks.measurements import Measurements
from tasks.utils.units import format_bytes

WIDTH, HEIGHT = 960, 320
LEFT, RIGHT, TOP, BOTTOM = 86, 86, 16, 44

# Height of the strip of bars below the lines: survivors by job.
BAR_STRIP_HEIGHT = 60

TICKS = 4


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """A polyline and the ticks of its axis."""

    points: str
    ticks: list[Tick]


@dataclass(frozen=True, slots=True)
class Bar:
    """The survivors of one job."""

    x: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Everything that the template draws."""

    heap: Line
    resident: Line
    bars: list[Bar]
    warm_up: float
    job_ticks: list[tuple[int, float]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def lay_out_plot(measurements: Measurements) -> Plot:
    """Left axis: heap; right axis: resident set; grey: warm-up; bars: memory that is never freed."""
    x_of = _Scale(1, max(measurements.jobs, 2), LEFT, WIDTH - RIGHT)
    floor = HEIGHT - BOTTOM - (BAR_STRIP_HEIGHT if measurements.kept_bytes else 0)
    return Plot(
        heap=_line(measurements.live, x_of, floor),
        resident=_line(measurements.resident, x_of, floor),
        bars=list(_bars(measurements, x_of)),
        warm_up=x_of(measurements.warm_up) - LEFT,
        job_ticks=[(job, x_of(job)) for job in _job_numbers(measurements.jobs)],
    )


class _Scale:
    """Maps numbers to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, number: float) -> float:
        return self.start + (number - self.low) / (self.high - self.low) * (self.end - self.start)


def _line(numbers: Sequence[int], x_of: _Scale, floor: float) -> Line:
    y_of = _axis(numbers, floor)
    points = " ".join(f"{x_of(job):.1f},{y_of(number):.1f}" for job, number in enumerate(numbers, 1))
    values = [y_of.low + (y_of.high - y_of.low) * step / TICKS for step in range(TICKS + 1)]
    return Line(points, [Tick(y_of(value), format_bytes(value)) for value in values])


def _axis(numbers: Sequence[int], floor: float) -> _Scale:
    """Fits all numbers. A line that varies by less than one hundredth is flat in the middle."""
    low, high = min(numbers), max(numbers)
    slack = max(high // 100, 1) if (high - low) * 100 < high else (high - low) // 10
    return _Scale(low - slack, high + slack, floor, TOP)


def _bars(measurements: Measurements, x_of: _Scale) -> Iterator[Bar]:
    # Modules and tables of the warm-up would dwarf everything else.
    counted = measurements.kept_bytes[measurements.warm_up :]
    most = max(counted, default=0)
    width = max(1.0, (x_of(2) - x_of(1)) * 0.7)
    for job, survivors in enumerate(counted, measurements.warm_up + 1):
        if survivors:
            height = max(1.5, survivors / most * (BAR_STRIP_HEIGHT - 14))
            yield Bar(x_of(job) - width / 2, width, height, f"job {job}: {survivors:,} bytes never freed")


def _job_numbers(jobs: int) -> list[int]:
    return sorted({1, *(round(jobs * part / 5) for part in range(1, 6))} - {0})
