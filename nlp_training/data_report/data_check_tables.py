"""Console tables of a data check."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nlp_inference.registry import Spec
from nlp_training.data_report.check import DataCheck
from nlp_training.data_report.findings import Finding, Severity
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.gold import document_metric, gold_kind

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}
_EXAMPLES = 2
_LABELS = 25
_LOST = 3


def data_check_report(check: DataCheck) -> Iterator[RenderableType]:
    """Yield summary, sizes, findings, labels and lost gold, without empty tables."""
    yield _summary(check)
    if check.needs is not None:
        yield _sizes(check, check.needs)
    if check.findings:
        yield _findings(check)
    if check.splits:
        yield _labels(check)
    if any(split.numbers for split in check.splits.values()):
        yield _values(check)
    if any(split.lost for split in check.splits.values()):
        yield _lost(check)


def _summary(check: DataCheck) -> Text:
    counts = [(check.count(severity), severity) for severity in Severity]
    text = Text(f"{check.name}: ", style="bold")
    text.append(", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for count, severity in counts))
    text.stylize("green" if check.ok else "red")
    return text


def _sizes(check: DataCheck, needs: Spec) -> Table:
    best = document_metric(needs).best
    gold = gold_kind(needs).noun
    table = Table(title="splits; the ceiling is the score of a model without mistakes")
    table.add_column("split")
    for name in ("documents", "characters", "tokens", "windows", gold, "lost", f"ceiling {best}"):
        table.add_column(name, justify="right")
    for name, split in check.splits.items():
        sizes = (split.documents, split.characters, split.tokens, split.windows, split.annotations, len(split.lost))
        ceiling = f"{split.ceiling[best]:.4f}" if best in split.ceiling else ""
        table.add_row(name, *(f"{size:,}" for size in sizes), ceiling)
    return table


def _findings(check: DataCheck) -> Table:
    table = Table(title="findings; --json has more examples")
    table.add_column("")
    table.add_column("split")
    table.add_column("what was found", ratio=1)
    for finding in check.findings:
        style = _STYLES[finding.severity]
        table.add_row(Text(finding.severity, style=style), finding.split, _description(finding))
    return table


def _description(finding: Finding) -> RenderableType:
    shown = 0 if finding.severity is Severity.NOTE else _EXAMPLES
    kind = Text.assemble((f"{finding.kind} ", "bold"), f"{finding.count:,} × {finding.text}")
    return Group(kind, *(Text(f"· {example}", style="dim") for example in finding.examples[:shown]))


def _labels(check: DataCheck) -> Table:
    counts: dict[str, int] = {}
    for split in check.splits.values():
        for label, count in split.labels.items():
            counts[label] = counts.get(label, 0) + count
    rarest_first = sorted(counts, key=lambda label: (counts[label], label))
    table = Table(title="gold by label, the rarest first (ceiling F1, if it is below 1)")
    table.add_column("label")
    for name in check.splits:
        table.add_column(name, justify="right")
    for label in rarest_first[:_LABELS]:
        table.add_row(label, *(_label_cell(split, label) for split in check.splits.values()))
    if len(rarest_first) > _LABELS:
        table.add_row(f"… {len(rarest_first) - _LABELS} more")
    return table


def _label_cell(split: SplitMeasures, label: str) -> str:
    scores = split.ceiling.get("per_label", {}).get(label)
    below = f" ({scores['f1']:.3f})" if scores and scores["support"] and scores["f1"] < 1 else ""
    return f"{split.labels[label]:,}{below}"


def _values(check: DataCheck) -> Table:
    table = Table(title="values")
    table.add_column("split")
    table.add_column("value")
    shown = ("count", "mean", "std", "min", "50 %", "max")
    for heading in shown:
        table.add_column(heading, justify="right")
    for split, measured in check.splits.items():
        for name, found in measured.distributions().items():
            table.add_row(split, name, *(f"{found[heading]:,.4g}" for heading in shown))
    return table


def _lost(check: DataCheck) -> Table:
    table = Table(title="gold that no model can predict; --json has all of it")
    table.add_column("split")
    table.add_column("cause")
    table.add_column("lost", justify="right")
    table.add_column("examples", ratio=1)
    for name, split in check.splits.items():
        for cause, count in split.lost_by_cause().items():
            examples = list(dict.fromkeys(one.description for one in split.lost if one.cause == cause))[:_LOST]
            table.add_row(name, cause, f"{count:,}", Text(", ".join(examples)))
    return table
