"""Report on the weights of a checkpoint that was loaded into a model."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from rich.table import Table

from nlp_inference.errors import CheckpointMismatchError

_NAMES_SHOWN = 8


class Mismatch(BaseModel):
    """A tensor that has the name of a weight of the model, but cannot be loaded into it.

    Example:
        >>> print(Mismatch(name="head.bias", found=(2,), expected=(3,), reason="(2,) instead of (3,)"))
        head.bias ((2,) instead of (3,))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    found: tuple[int, ...]
    """Shape in the checkpoint."""
    expected: tuple[int, ...]
    """Shape in the model."""
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


class CheckpointReport(BaseModel):
    """The weights of a checkpoint that were or were not loaded into a model, by their names in the model.

    Every name of the model's `state_dict` is in exactly one of `loaded`, `missing` and `mismatched`. Every tensor of
    the checkpoint is in one of `loaded`, `mismatched`, `unexpected` and `ignored`.

    Example:
        >>> report = CheckpointReport(source="org/model", loaded=("a.weight",), missing=("b.weight", "head.bias"),
        ...     allowed=frozenset({"head.bias"}))
        >>> print(report)
        'org/model': 1 fit, 2 missing, 0 unexpected, 0 mismatched
          missing: b.weight
          missing (allowed): head.bias
        >>> report.ok
        False
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """The source of the checkpoint: a path or a Hub id."""
    files: tuple[Path, ...] = ()
    """The files that were read."""
    loaded: tuple[str, ...] = ()
    """Weights of the model that fit the checkpoint, which were loaded if `ok`; of tied weights, every name."""
    missing: tuple[str, ...] = ()
    """Weights of the model that the checkpoint does not have; they are unchanged."""
    unexpected: tuple[str, ...] = ()
    """Tensors of the checkpoint that the model does not have, by their names after renaming."""
    mismatched: tuple[Mismatch, ...] = ()
    """Weights that both have with different shapes or dtypes, or with values that contradict tied weights."""
    ignored: tuple[str, ...] = ()
    """Tensors of the checkpoint that the model computes itself, with equal values: non-persistent buffers."""
    allowed: frozenset[str] = frozenset()
    """Names in `missing`, `unexpected` and `mismatched` that the caller allowed."""

    @property
    def ok(self) -> bool:
        """Whether every problem is allowed."""
        wrong = {*self.missing, *self.unexpected, *(mismatch.name for mismatch in self.mismatched)}
        return wrong <= self.allowed

    def raise_for_problems(self) -> None:
        """Raise an error unless every missing, unexpected or mismatched name is allowed.

        Raises:
            CheckpointMismatchError: lists every problem, and the `prefixes` that would fix most of them.
        """
        if self.ok:
            return
        hint = self._suggested_prefixes()
        raise CheckpointMismatchError(
            f"the checkpoint does not fit the model, and nothing was loaded:\n{self}\n"
            + (f"The names fit with prefixes={hint!r}. " if hint else "")
            + "Load it into the architecture that saved it, rename the tensors with prefixes=, or allow differences "
            "with allow_missing=, allow_unexpected= and allow_mismatched= (patterns such as 'classifier.*')."
        )

    def __str__(self) -> str:
        lines = [f"{self.source!r}: {self._summary()}"]
        lines += [f"  {title}: {_shorten(rows)}" for title, rows in self._sections()]
        return "\n".join(lines)

    def __rich__(self) -> Table:
        """Return a table of the weights that were not loaded."""
        table = Table(title=self.source, caption=self._summary())
        for column in ("weight", "state", "why"):
            table.add_column(column, overflow="fold")
        for title, rows in self._sections():
            for row in rows:
                if isinstance(row, Mismatch):
                    table.add_row(row.name, title, row.reason)
                else:
                    table.add_row(row, title, "")
        return table

    def _summary(self) -> str:
        return (
            f"{len(self.loaded)} {'loaded' if self.ok else 'fit'}, {len(self.missing)} missing, "
            f"{len(self.unexpected)} unexpected, {len(self.mismatched)} mismatched"
        )

    def _sections(self) -> Iterator[tuple[str, list[str | Mismatch]]]:
        """Yield the non-empty sections of weights that were not loaded, with a separate section for allowed ones."""
        for title, rows in (
            ("missing", self.missing),
            ("unexpected", self.unexpected),
            ("mismatched", self.mismatched),
        ):
            for suffix, is_allowed in (("", False), (" (allowed)", True)):
                chosen = [row for row in rows if (_name(row) in self.allowed) == is_allowed]
                if chosen:
                    yield title + suffix, chosen
        if self.ignored:
            yield "ignored (the model computes them, with the same values)", list(self.ignored)

    def _suggested_prefixes(self) -> dict[str, str] | None:
        """Return the prefix to add or remove that would resolve most of the missing weights, or `None`."""
        missing, unexpected = set(self.missing), set(self.unexpected)
        votes = Counter(("", prefix) for name in missing for prefix, rest in _splits(name) if rest in unexpected)
        votes += Counter((prefix, "") for name in unexpected for prefix, rest in _splits(name) if rest in missing)
        if not votes:
            return None
        (rename, count), *_ = votes.most_common(1)
        return dict([rename]) if 2 * count > len(missing) else None


def _name(row: str | Mismatch) -> str:
    return row.name if isinstance(row, Mismatch) else row


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Split `a.b.c` into (`a.`, `b.c`) and (`a.b.`, `c`)."""
    for at, character in enumerate(name, start=1):
        if character == ".":
            yield name[:at], name[at:]


def _shorten(rows: Iterable[str | Mismatch]) -> str:
    texts = [str(row) for row in rows]
    more = len(texts) - _NAMES_SHOWN
    return ", ".join(texts[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
