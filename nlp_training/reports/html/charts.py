"""Charts as inline SVG without scripts or network, in the colors of the page and with selectable text.

A plotting library would draw for a fixed background and require tens of megabytes or a script.
"""

from collections.abc import Mapping, Sequence
from math import ceil, floor, isfinite, log10
from typing import NamedTuple

from markupsafe import Markup

Point = tuple[float, float]

POINTS = 240
"""The maximum number of points of a line; more points are replaced by means of neighbors."""

_WIDTH, _HEIGHT = 440, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 14, 34


class Frame(NamedTuple):
    """The mapping from values to coordinates of the picture."""

    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, point: Point) -> Point:
        """Return the coordinates of a point."""
        return self.across(point[0]), self.up(point[1])

    def across(self, value: float) -> float:
        """Return the horizontal coordinate of a value."""
        low, high = self.x
        return round(_LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT), 2)

    def up(self, value: float) -> float:
        """Return the vertical coordinate of a value, from the top."""
        low, high = self.y
        return round(_HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM), 2)


def ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Return round numbers that cover a range: steps of 1, 2 or 5 times 10^n (Heckbert, Graphics Gems, 1990).

    Example:
        >>> ticks(0.0, 0.48), ticks(0.93, 0.99, about=4)
        ([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], [0.92, 0.94, 0.96, 0.98, 1.0])
    """
    if high <= low:
        width = abs(low) or 1.0
        low, high = low - width / 2, high + width / 2
    rough = (high - low) / about
    power: float = 10.0 ** floor(log10(rough))
    step = next(size * power for size in (1.0, 2.0, 5.0, 10.0) if size * power >= rough * (1 - 1e-9))
    digits = max(0, -floor(log10(step) + 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(number * step, digits + 1) for number in range(first, last + 1)]


def line_chart(
    lines: Mapping[str, Sequence[Point]],
    *,
    title: str,
    x_name: str,
    best: Point | None = None,
    from_zero: bool = False,
    at_most: float | None = None,
) -> Markup:
    """Draw lines over a common axis.

    Args:
        lines: points by line name, sorted by their first coordinate; points that are not finite are skipped.
        title: the description for screen readers.
        x_name: the name of the horizontal axis.
        best: a point to mark.
        from_zero: whether the vertical axis begins at 0.
        at_most: a round upper limit of the vertical axis, which no value exceeds.
    """
    drawn = {name: thinned([point for point in points if isfinite(point[1])]) for name, points in lines.items()}
    drawn = {name: points for name, points in drawn.items() if points}
    if not drawn:
        return Markup("")
    values = [point for points in drawn.values() for point in points]
    lows = [0.0] * from_zero + [value for _, value in values]
    y_ticks = [tick for tick in ticks(min(lows), max(lows)) if at_most is None or tick <= at_most]
    x_most = max([x for x, _ in values] + [1e-9])
    x_ticks = ticks(0.0, x_most)
    if x_ticks[-1] - x_most < 0.3 * x_ticks[1]:  # the last logged step is slightly before it
        x_most = x_ticks[-1]
    frame = Frame((0.0, x_most), (y_ticks[0], y_ticks[-1]))
    parts = [_axes(frame, x_ticks, y_ticks, x_name)]
    parts += [_line(frame, name, points, number) for number, (name, points) in enumerate(drawn.items())]
    if best is not None:
        x, y = frame.place(best)
        parts.append(Markup('<circle class="best" cx="{}" cy="{}" r="7"/>').format(x, y))
    svg = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return svg.format(_WIDTH, _HEIGHT, title, Markup("").join(parts))


def thinned(points: Sequence[Point]) -> list[Point]:
    """Return at most `POINTS` points: means of neighbors, if there are more.

    Example:
        >>> len(thinned([(float(x), 1.0) for x in range(1000)]))
        200
    """
    size = ceil(len(points) / POINTS) or 1
    if size == 1:
        return list(points)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def reliability_diagram(bins: Sequence[Mapping[str, float]], *, title: str) -> Markup:
    """Draw the accuracy of predictions by confidence, which is ideally on the diagonal.

    Args:
        bins: bins from `Calibration`.
        title: the description for screen readers.
    """
    frame = Frame((0.0, 1.0), (0.0, 1.0))
    marks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    parts = [_axes(frame, marks, marks, "confidence")]
    total = sum(one["answers"] for one in bins)
    for one in bins:
        left, right, top, bottom = (
            frame.across(one["from"]), frame.across(one["to"]), frame.up(one["right"]), frame.up(0.0),
        )  # fmt: skip
        tip = (
            f"confidence {one['from']:.2f} to {one['to']:.2f}: {one['answers']:,} predictions, "
            f"mean confidence {one['confidence']:.3f}, correct {one['right']:.3f}"
        )
        bar = Markup(
            '<rect class="bar{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"><title>{}</title></rect>'
        )
        rare = " rare" if one["answers"] < max(10, total / 200) else ""
        top = min(top, bottom - 1.5)  # bins without correct predictions stay visible
        parts.append(bar.format(rare, left + 1, top, right - left - 2, bottom - top, tip))
    start, end = frame.place((0.0, 0.0)), frame.place((1.0, 1.0))
    parts.append(Markup('<line class="ideal" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(*start, *end))
    for one in bins:
        x, y = frame.place((one["confidence"], one["right"]))
        parts.append(Markup('<circle class="dot s0" cx="{}" cy="{}" r="3.5"/>').format(x, y))
    svg = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return svg.format(_WIDTH, _HEIGHT, title, Markup("").join(parts))


def scatter_chart(points: Sequence[Point], *, title: str, x_name: str) -> Markup:
    """Points of two numbers in one unit; where both are equal, they stand on the diagonal.

    Args:
        points: the numbers on the horizontal and the vertical axis.
        title: what it shows, for those who do not see it.
        x_name: what the first numbers are.
    """
    if not points:
        return Markup("")
    numbers = [number for point in points for number in point]
    marks = ticks(min(numbers), max(numbers))
    ends = (marks[0], marks[-1])
    frame = Frame(ends, ends)
    parts = [_axes(frame, marks, marks, x_name)]
    start, end = frame.place((ends[0], ends[0])), frame.place((ends[1], ends[1]))
    parts.append(Markup('<line class="ideal" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(*start, *end))
    dot = Markup('<circle class="point" cx="{}" cy="{}" r="2.2"/>')
    parts += [dot.format(*frame.place(point)) for point in points]
    svg = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return svg.format(_WIDTH, _HEIGHT, title, Markup("").join(parts))


def score_bar(score: float, ends: Sequence[float] | None = None) -> Markup:
    """Draw a score from 0 to 1 as a bar, with its interval as a line over it."""
    line = Markup("")
    if ends:
        line = Markup('<i class="ends" style="left:{:.2f}%;width:{:.2f}%"></i>').format(
            100 * ends[0], 100 * (ends[1] - ends[0])
        )
    bar = Markup('<span class="score" aria-hidden="true"><i class="fill" style="width:{:.2f}%"></i>{}</span>')
    return bar.format(100 * score, line)


def number_text(value: float) -> str:
    """Format a number of an axis.

    Example:
        >>> number_text(0.30000000000000004), number_text(0.0003), number_text(1500.0)
        ('0.3', '3e-4', '1,500')
    """
    if value and abs(value) < 0.001:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:,.6g}"


def _axes(frame: Frame, x_ticks: Sequence[float], y_ticks: Sequence[float], x_name: str) -> Markup:
    left, right, bottom = _LEFT, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for tick in y_ticks:
        y = frame.up(tick)
        parts.append(Markup('<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(left, y, right, y))
        text = Markup('<text class="y" x="{}" y="{}">{}</text>')
        parts.append(text.format(left - 8, y + 4, number_text(tick)))
    for tick in x_ticks:
        if tick <= frame.x[1] * (1 + 1e-9):
            text = Markup('<text class="x" x="{}" y="{}">{}</text>')
            parts.append(text.format(frame.across(tick), bottom + 16, number_text(tick)))
    name = Markup('<text class="name" x="{}" y="{}">{}</text>')
    parts.append(name.format((left + right) / 2, _HEIGHT - 3, x_name))
    return Markup("").join(parts)


def _line(frame: Frame, name: str, points: Sequence[Point], number: int) -> Markup:
    coordinates = [frame.place(point) for point in points]
    path = " ".join(f"{x:g},{y:g}" for x, y in coordinates)
    parts = [Markup('<polyline class="line s{}" points="{}"/>').format(number % 4, path)]
    if len(points) <= 40:
        dot = Markup('<circle class="dot s{}" cx="{}" cy="{}" r="3.2"><title>{}</title></circle>')
        for (x, y), (at, value) in zip(coordinates, points, strict=True):
            parts.append(dot.format(number % 4, x, y, f"{name}: {value:.4g} at {at:g}"))
    return Markup("").join(parts)


def legend(names: Sequence[str]) -> Markup:
    """Draw the names of lines with their colors and dashes."""
    entry = Markup(
        '<span><svg class="key" viewBox="0 0 22 8" aria-hidden="true">'
        '<line class="line s{}" x1="1" y1="4" x2="21" y2="4"/></svg>{}</span>'
    )
    return Markup("").join(entry.format(number % 4, name) for number, name in enumerate(names))
