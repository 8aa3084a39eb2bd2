"""Console output of the comparison of a run with its repetition."""

import re

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nlp_inference._utils.digests import short_digest
from nlp_training.runs.reproduction import Reproduction

_COMMIT = re.compile("[0-9a-f]{40}")


def reproduction_tables(comparison: Reproduction) -> list[RenderableType]:
    """Build the output: a table of the compared properties, the result, and possible explanations."""
    table = Table(
        "", "", "run", "here", "", title="the run and its repetition", title_justify="left", box=None, pad_edge=False
    )
    for row in comparison.rows:
        if not row.same or row.kind != "environment":
            mark = Text("same", style="green") if row.same else Text("differs", style="red")
            table.add_row(row.kind, row.name, _short(row.before), _short(row.now), mark)
    same = sum(row.same for row in comparison.rows if row.kind == "environment")
    lines: list[RenderableType] = [table, Text(f"{same} more properties of the environment are the same", style="dim")]
    if comparison.identical:
        lines.append(Text("identical: weights, processor and scores are equal bit for bit", style="bold green"))
        return lines
    lines.append(Text(f"different: {', '.join(_differing(comparison))}", style="bold red"))
    lines += [Text(f"- {explanation}") for explanation in comparison.explanations]
    return lines


def _differing(comparison: Reproduction) -> list[str]:
    return [row.name for row in comparison.rows if row.kind == "result" and not row.same]


def _short(value: str) -> str:
    """Shorten digests and commits to their first digits."""
    shortened = (f"{word[:12]}…" if _COMMIT.fullmatch(word) else short_digest(word) for word in value.split())
    return " ".join(word for word in shortened if word != "sha256")
