"""The names of a head's outputs: of the checkpoint, or of the user."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nlp_inference.errors import InvalidSpecError
from nlp_training.adopt.deduction import AmbiguousModelError, Deduction
from nlp_training.adopt.options import Names

OPTION = "--labels a,b,c|FILE"

_UNNAMED = re.compile(r"LABEL_(\d+)")
_MOST_SHOWN = 12


class OutputNames(NamedTuple):
    """The names of a head's outputs in the order of their ids, and where they come from."""

    names: tuple[str, ...]
    deduction: Deduction


def output_names(id2label: Mapping[int, str], *, rows: int, given: Names | None, needed: bool = True) -> OutputNames:
    """Return a name for each output of a head.

    Args:
        id2label: the names of the checkpoint.
        rows: the number of outputs that its weights have.
        given: the names of the user.
        needed: whether names like `LABEL_0` are refused.

    Raises:
        AmbiguousModelError: outputs have no name, or only one like `LABEL_0`, or two have the same.
        InvalidSpecError: the names of the user do not fit.

    Example:
        >>> output_names({0: "no", 1: "yes"}, rows=2, given=None).names
        ('no', 'yes')
        >>> output_names({0: "LABEL_0", 1: "LABEL_1"}, rows=2, given=("no", "yes")).names
        ('no', 'yes')
    """
    names = [id2label.get(row) for row in range(rows)]
    changed = 0
    if given is not None:
        known = [name for name in names if name is not None]
        chosen = _given(given, rows, known) if isinstance(given, Mapping) else dict(enumerate(given))
        if not isinstance(given, Mapping) and len(given) != rows:
            raise InvalidSpecError(f"--labels has {len(given)} names, but the head of the model has {rows} outputs")
        changed = len(chosen)
        names = [chosen.get(row, name) for row, name in enumerate(names)]
    _check_complete(names, id2label, rows, needed=needed)
    found = tuple(str(name) for name in names)
    stated = f"id2label of config.json names {rows} outputs"
    deduction = Deduction(
        "labels",
        shown_names(found),
        f"{changed} of {rows} names are those of --labels" if changed else stated,
        OPTION,
        "given" if changed else "stated",
    )
    return OutputNames(found, deduction)


def _given(given: Mapping[str, str], rows: int, names: Sequence[str]) -> dict[int, str]:
    """Return the names of a mapping by id; its keys are ids, or names of the checkpoint."""
    found: dict[int, str] = {}
    for key, name in given.items():
        row = names.index(key) if key in names else int(key) if key.isdigit() else -1
        if not 0 <= row < rows:
            raise InvalidSpecError(
                f"--labels renames {key!r}, which is neither an id below {rows} nor one of {shown_names(names)}"
            )
        found[row] = name
    return found


def _check_complete(names: Sequence[str | None], id2label: Mapping[int, str], rows: int, *, needed: bool) -> None:
    gaps = [row for row, name in enumerate(names) if not name]
    extra = sorted(row for row in id2label if row >= rows)
    if gaps or (extra and not all(names)):
        raise AmbiguousModelError(
            "labels",
            f"the head of the model has {rows} outputs, but id2label of config.json has no name for "
            f"{', '.join(map(str, gaps[:_MOST_SHOWN]))}",
            option=OPTION,
        )
    unnamed = [name for name in names if name and _UNNAMED.fullmatch(name)]
    if needed and unnamed:
        raise AmbiguousModelError(
            "labels",
            f"config.json names the outputs {shown_names(unnamed)}, the defaults of transformers, whose meaning only "
            "the author of the model knows",
            option=OPTION,
        )
    repeated = sorted({str(name) for name in names if names.count(name) > 1})
    if repeated:
        raise AmbiguousModelError("labels", f"several outputs have the name {repeated[0]!r}", option=OPTION)


def shown_names(names: Sequence[str]) -> str:
    """Return names in one line, the first ones if they are many.

    Example:
        >>> shown_names(["no", "yes"])
        'no, yes'
    """
    shown = ", ".join(names[:_MOST_SHOWN])
    return shown + (f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else "")
