"""Console tables of scores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from rich.table import Table
from rich.text import Text
from transformers import TrainingArguments

from nlp_inference import Document
from nlp_training.config.tracking import describe_trackers
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.evaluation import share_read
from nlp_training.gold import gold_kinds, scores_of_heads

if TYPE_CHECKING:
    from nlp_training.trainer import DocumentTrainer

Metrics = Mapping[str, Mapping[str, Any]]

NOTHING_SCORED = (
    "nothing was scored: there are no validation or test documents; give data.validation, data.test or data.split"
)
_COVERAGE = ("documents", "windows", "read", "deleted", "unknown", "truncated")


def setup_table(trainer: "DocumentTrainer", splits: Mapping[str, Sequence[Document]]) -> Table:
    """Build a table of the training to run: its data, settings, and choices for this machine."""
    args = trainer.args
    precision = "bf16" if args.bf16 else "fp16" if args.fp16 else "fp32"
    table = Table(title="run", show_header=False)
    table.add_row("task", f"{trainer.processor.task.name}, {len(getattr(trainer.processor.task, 'labels', ()))} labels")
    streamed = [] if "train" in splits else ["train streamed"]
    counted = [f"{name} {len(documents)}" for name, documents in splits.items()]
    table.add_row("documents", ", ".join([*streamed, *counted]))
    threads = f", {torch.get_num_threads()} thread(s) each" if args.device.type == "cpu" else ""
    table.add_row("device", f"{args.device}, {args.world_size} process(es){threads}, {precision}")
    table.add_row("batches", _describe_batches(args))
    length = f"{args.max_steps} steps" if args.max_steps > 0 else f"{args.num_train_epochs:g} epochs"
    table.add_row("length", f"{length} at learning rate {args.learning_rate:g}")
    table.add_row("log", describe_trackers(args.report_to))
    return table


def _describe_batches(args: TrainingArguments) -> str:
    parts = args.gradient_accumulation_steps
    windows = f"{args.train_batch_size} windows" + (f", {parts} to a step" if parts > 1 else "")
    workers = args.dataloader_num_workers
    makers = f"made by {workers} worker(s)" if workers else "made in the process"
    return f"{windows}, {args.train_sampling_strategy}, {makers}"


def lost_gold_lines(report: Mapping[str, SplitMeasures], *, shown: int = 3) -> list[Text]:
    """Return lines about the gold that no model of this task can predict, with `shown` annotations per split."""
    lines = []
    for name, split in report.items():
        if split.lost:
            causes = ", ".join(f"{cause} {count}" for cause, count in split.lost_by_cause().items())
            share = f"{len(split.lost)} of {split.annotations} gold annotations cannot be predicted exactly"
            lines.append(Text(f"{name}: {share} ({causes})", style="yellow"))
            lines.extend(Text(f"  {one}") for one in split.lost[:shown])
    return lines


def score_tables(metrics: Metrics) -> list[Table | Text]:
    """Build tables of all scores without empty tables, or a line if nothing was scored.

    Example:
        >>> [print(line) for line in score_tables({})]
        nothing was scored: there are no validation or test documents; give data.validation, data.test or data.split
        [None]
    """
    if not metrics:
        return [Text(NOTHING_SCORED, style="yellow")]
    tables = [per_label_table(metrics), *_tables_of_heads(metrics), per_value_table(metrics)]
    tables += [detail_table(metrics), coverage_table(metrics), score_table(metrics)]
    return [*(table for table in tables if table.row_count), *map(Text, fitted_notes(metrics))]


def _tables_of_heads(metrics: Metrics) -> Iterator[Table]:
    """Yield the tables of each head, except its labels, which the table of all labels has."""
    for head in dict.fromkeys(one.head for one in scores_of_heads(metrics) if one.head):
        of_head = {one.data: one.scores for one in scores_of_heads(metrics) if one.head == head}
        for table in (per_value_table(of_head), detail_table(of_head), score_table(of_head)):
            table.title = f"{head}: {table.title}"
            yield table


def fitted_notes(metrics: Metrics) -> list[str]:
    """Return a sentence for each data set whose documents something was fitted to.

    Example:
        >>> fitted_notes({"validation": {"f1": 0.9, "fitted": ["threshold", "thresholds"]}, "test": {"f1": 0.8}})
        ['validation: threshold, thresholds were fitted to these documents, so that their scores are too good.']
    """
    fitted = {name: scores["fitted"] for name, scores in metrics.items() if scores.get("fitted")}
    notes = [
        f"{name}: {', '.join(fields)} were fitted to these documents, so that their scores are too good."
        for name, fields in fitted.items()
    ]
    if fitted and len(fitted) == len(metrics):
        notes.append("There is no test set, so that no score here is one of new documents.")
    return notes


def _overall_scores() -> set[str]:
    """Return the names of overall scores of all kinds, and of the scores that are repeated for a head."""
    return {name for kind in gold_kinds() for name in kind.metric.names}


def _own_numbers(scores: Mapping[str, Any]) -> list[str]:
    """Return the names of scores that are single numbers, except those of heads, which have rows of their own."""
    heads: Mapping[str, Mapping[str, Any]] = scores.get("heads", {})
    of_heads = {f"{head}_{name}" for head, one in heads.items() for name in one}
    return [name for name, value in scores.items() if _is_score(value) and name not in of_heads]


def score_table(metrics: Metrics) -> Table:
    """Build a table of the overall scores of each data set, the first with its 95 % interval."""
    names = [name for name in _numbers(metrics) if name in _overall_scores()]
    headings = (*names[:1], *(["95 % interval"] if names else []), *names[1:])
    table = _table_of_numbers("scores", "data", headings)
    for data, scores in metrics.items():
        cells = [f"{scores[name]:.4f}" if _is_score(scores.get(name)) else "" for name in names]
        between = [interval_text(scores, name) for name in names[:1]]
        table.add_row(data, *cells[:1], *between, *cells[1:])
    return table


def coverage_table(metrics: Metrics) -> Table:
    """Build a table of how much of each data set the model read."""
    table = _table_of_numbers("coverage", "data", _COVERAGE)
    for data, scores in metrics.items():
        table.add_row(data, *_coverage_cells(scores.get("coverage", {})))
    return table


def interval_text(scores: Mapping[str, Any], name: str) -> str:
    """Format the interval of a score, if it has one.

    Example:
        >>> interval_text({"f1": 0.5, "interval": {"f1": [0.4, 0.6]}}, "f1")
        '0.400–0.600'
    """
    ends = scores.get("interval", {}).get(name)
    return "–".join(f"{end:.3f}" for end in ends) if ends else ""


def _detail_keys() -> dict[str, tuple[str, ...]]:
    """Return the keys of the additional scores of all kinds of gold, by their display names."""
    return {name: keys for kind in reversed(gold_kinds()) for name, keys in kind.metric.details.items()}


def detail_table(metrics: Metrics) -> Table:
    """Build a table of additional scores, including those of custom metrics; see docs/metrics.md."""
    table = _table_of_numbers("more scores", "score", metrics)
    own = [name for name in _numbers(metrics) if name not in _overall_scores()]
    found = [details(scores) | {name: scores[name] for name in own if name in scores} for scores in metrics.values()]
    for name in (*_detail_keys(), *own):
        if any(name in one for one in found):
            table.add_row(name, *(f"{one[name]:.4f}" if name in one else "" for one in found))
    return table


def details(scores: Mapping[str, Any]) -> dict[str, float]:
    """Return the additional scores of one data set by their display names."""
    values = {name: _inside(scores, keys) for name, keys in _detail_keys().items()}
    return {name: value for name, value in values.items() if _is_score(value)}


def _inside(scores: Mapping[str, Any], keys: Sequence[str]) -> Any:
    found: Any = scores
    for key in keys:
        found = found.get(key, {}) if isinstance(found, Mapping) else {}
    return found


def paired_tables(result: Mapping[str, Any], *, model: str, against: str) -> list[Table]:
    """Build the table of a paired test, or one for each head; see `paired_table`."""
    if "heads" not in result:
        return [paired_table(result, model=model, against=against)]
    tables = {head: paired_table(one, model=model, against=against) for head, one in result["heads"].items()}
    for head, table in tables.items():
        table.title = f"{head}: {table.title}"
    return list(tables.values())


def paired_table(result: Mapping[str, Any], *, model: str, against: str) -> Table:
    """Build a table of the paired test of a model, the second, against another model, the first."""
    score = result["score"]
    table = Table(title=f"{result['test']} on {result['documents']} documents", show_header=False)
    table.add_row(f"{score} of {against}", f"{result['first']:.4f}")
    table.add_row(f"{score} of {model}", f"{result['second']:.4f}")
    ends = " to ".join(f"{end:+.4f}" for end in result.get("interval", ()))
    table.add_row("difference", f"{result['difference']:+.4f}" + (f" ({ends})" if ends else ""))
    if "first_only" in result:
        table.add_row("only one model correct", f"{result['first_only']} and {result['second_only']} documents")
    table.add_row("p", f"{result['p_value']:.4g}")
    return table


def _table_of_numbers(title: str, first: str, headings: Iterable[str]) -> Table:
    table = Table(title=title)
    table.add_column(first)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _coverage_cells(coverage: Mapping[str, int]) -> list[str]:
    return [
        "" if not coverage else share_read(coverage) if name == "read" else str(coverage.get(name, 0))
        for name in _COVERAGE
    ]


def per_label_table(metrics: Metrics, *, shown: int = 25) -> Table:
    """Build a table of F1 by label and data set, limited to the `shown` most frequent labels."""
    labels: dict[str, int] = {}
    for scores in metrics.values():
        for label, values in scores.get("per_label", {}).items():
            labels[label] = max(labels.get(label, 0), values["support"])
    table = _table_of_numbers("F1 by label (number of gold)", "label", metrics)
    for label in sorted(labels, key=lambda label: -labels[label])[:shown]:
        cells = [scores.get("per_label", {}).get(label) for scores in metrics.values()]
        table.add_row(label, *(f"{cell['f1']:.3f} ({cell['support']})" if cell else "" for cell in cells))
    if len(labels) > shown:
        table.add_row(f"… {len(labels) - shown} more in metrics.json")
    return table


def per_value_table(metrics: Metrics, *, shown: int = 25) -> Table:
    """Mean absolute error of each value on each data set, where there are several values."""
    names = sorted({name for scores in metrics.values() for name in scores.get("per_value", {})})
    table = _table_of_numbers("mean absolute error by value (number of gold)", "value", metrics)
    for name in names[:shown] if len(names) > 1 else ():
        cells = [scores.get("per_value", {}).get(name, {}) for scores in metrics.values()]
        table.add_row(name, *(f"{cell['mae']:.4g} ({cell['support']})" if "mae" in cell else "" for cell in cells))
    if len(names) > shown:
        table.add_row(f"… {len(names) - shown} more in metrics.json")
    return table


def _numbers(metrics: Metrics) -> list[str]:
    """Return the names of all scores that are single numbers."""
    return list(dict.fromkeys(name for scores in metrics.values() for name in _own_numbers(scores)))


def _is_score(value: Any) -> bool:
    return isinstance(value, float)
