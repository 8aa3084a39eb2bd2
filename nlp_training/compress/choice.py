"""The choice among candidates: the fastest one within the drop, and the Pareto front of speed and score."""

from collections.abc import Sequence
from typing import NamedTuple

from nlp_training.compress.candidates import Candidate


class Choice(NamedTuple):
    """The chosen candidate, `None` if there is none, and why."""

    candidate: Candidate | None
    reason: str


def usable(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that are verified, scored and measured."""
    return [one for one in candidates if one.validation is not None and one.measured is not None and not one.refused]


def speed(candidate: Candidate) -> float:
    """Return the documents per second of a measured candidate."""
    return candidate.measured.documents_per_second if candidate.measured is not None else 0.0


def drop(candidate: Candidate) -> float:
    """Return the points that a scored candidate loses on the documents that decide."""
    return candidate.validation.drop if candidate.validation is not None else 0.0


def choose(candidates: Sequence[Candidate], *, max_drop: float) -> Choice:
    """Return the fastest candidate whose score on the validation documents drops by at most `max_drop` points.

    Args:
        candidates: all candidates, with the teacher.
        max_drop: the points.
    """
    others = usable(candidates)
    within = [one for one in others if drop(one) <= max_drop]
    if within:
        return Choice(max(within, key=speed), f"the fastest that loses at most {max_drop:g} points")
    if not others:
        return Choice(None, "no candidate is verified")
    best = min(others, key=drop)
    return Choice(best, f"no candidate loses at most {max_drop:g} points; this one loses least")


def pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates than which no other one is both faster and better, the fastest first."""
    front: list[Candidate] = []
    for one in sorted(usable(candidates), key=speed, reverse=True):
        if not front or drop(one) < min(map(drop, front)):
            front.append(one)
    return front
