"""`compress.html`: all candidates, their speed and score, and the chosen one, in one file that opens offline."""

from datetime import UTC, datetime
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nlp_inference._utils.atomic_files import write_atomically
from nlp_training.compress.candidates import Candidate
from nlp_training.compress.choice import drop, pareto_front, speed, usable
from nlp_training.compress.tables import interval_text, score_name, times_text
from nlp_training.reports.html.page import environment

if TYPE_CHECKING:
    from nlp_training.compress.run import Compression

PAGE_FILE = "compress.html"
_LABELS = 12
_WIDTH, _HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 24, 16, 40


class Dot(NamedTuple):
    """A candidate in the plot: its place, and how it stands out."""

    x: float
    y: float
    candidate: Candidate
    is_front: bool
    is_chosen: bool


class Tick(NamedTuple):
    """A tick of an axis: its place and its text."""

    at: float
    text: str


class Plot(NamedTuple):
    """Points of score (vertical) by documents a second (horizontal, logarithmic)."""

    dots: list[Dot]
    front: str
    speeds: list[Tick]
    drops: list[Tick]
    limit: float | None


def write_page(found: "Compression", folder: Path) -> Path:
    """Write the page into the folder of a compression, and return its path."""
    target = folder / PAGE_FILE
    write_atomically(target, render(found))
    return target


def render(found: "Compression") -> str:
    """Render the page."""
    chosen = None if found.choice is None else found.choice.candidate
    reference = found.teacher
    labels = (
        [one for one in chosen.validation.labels if one.before != one.after] if chosen and chosen.validation else []
    )
    return (
        environment("nlp_training.compress")
        .get_template("compress.html.jinja")
        .render(
            name=found.source,
            found=found,
            made=datetime.now(UTC),
            chosen=chosen,
            reference=reference,
            times="" if chosen is None else times_text(chosen, reference),
            score=score_name(found),
            plot=plot(found),
            size=(_WIDTH, _HEIGHT, _LEFT, _HEIGHT - _BOTTOM),
            rows=sorted(found.candidates, key=speed, reverse=True),
            front={one.name for one in pareto_front(found.candidates)},
            interval_text=interval_text,
            times_text=times_text,
            labels=labels[:_LABELS],
            model="" if found.model is None else str(found.model),
        )
    )


def plot(found: "Compression") -> Plot | None:
    """Return the plot of speed and score; `None` if fewer than two candidates can be shown."""
    shown = usable(found.candidates)
    if len(shown) < 2:
        return None
    logs = [log10(speed(one)) for one in shown]
    changes = [-drop(one) for one in shown]
    spread, limit = max(changes) - min(changes), -found.options.max_drop
    margin = max(0.1, 0.08 * spread)
    lowest = limit if 0 < min(changes) - limit < max(1.0, spread) else min(changes)
    low, high = lowest - margin, max(changes) + margin
    left, right = min(logs) - 0.05, max(logs) + 0.05

    def x(value: float) -> float:
        return _LEFT + (value - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    front = pareto_front(found.candidates)
    names = {one.name for one in front}
    chosen = found.choice.candidate.name if found.choice and found.choice.candidate else ""
    dots = [
        Dot(x(log10(speed(one))), y(-drop(one)), one, one.name in names, one.name == chosen)
        for one in sorted(shown, key=speed)
    ]
    line = " ".join(f"{dot.x:.1f},{dot.y:.1f}" for dot in dots if dot.is_front)
    return Plot(
        dots,
        line,
        [Tick(x(log10(value)), f"{value:,}") for value in _round_numbers(10**left, 10**right)],
        [Tick(y(value), f"{value:+.1f}") for value in _steps(low, high)],
        y(limit) if low < limit < high else None,
    )


def _round_numbers(low: float, high: float) -> list[int]:
    """Return 1, 2 and 5 times powers of ten in a range."""
    numbers = [factor * 10**power for power in range(7) for factor in (1, 2, 5)]
    return [one for one in numbers if low <= one <= high]


def _steps(low: float, high: float) -> list[float]:
    """Return about five round numbers in a range."""
    step = next((one for one in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if (high - low) / one <= 6), 100)
    first = int(low // step)
    return [number * step for number in range(first, first + 9) if low <= number * step <= high]
