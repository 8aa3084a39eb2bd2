"""The report page, rendered from the files of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rich.text import Text

from nlp_inference._utils.atomic_files import write_atomically
from nlp_inference.rendering import STYLE_SHEET, label_color, passage_html, visible, visible_line
from nlp_training.evaluation import share_read
from nlp_training.evaluation.prediction_files import read_predictions
from nlp_training.gold import GoldKind, HeadScores, gold_kind, scores_of_heads, view_of_head
from nlp_training.reports.html.charts import number_text, reliability_diagram, scatter_chart, score_bar
from nlp_training.reports.html.confusion import Confusion, confusion
from nlp_training.reports.html.curves import Curve, curves, score_name
from nlp_training.reports.html.facts import header_facts, manifest_facts, replay_facts
from nlp_training.reports.html.mistakes import POINTS, Example, Labels, Mistakes, examples_of
from nlp_training.reports.html.run_files import RunFiles, read_run
from nlp_training.reports.html.speed import Times
from nlp_training.reports.html.unseen import Unseen
from nlp_training.reports.score_tables import details, fitted_notes, interval_text

REPORT_FILE = "report.html"


class MistakeGroup(NamedTuple):
    """The mistakes of one kind and one pair of labels."""

    labels: Labels
    total: int
    examples: list[Example]


class MistakeKind(NamedTuple):
    """The mistakes of one kind: their total number, the number of shown examples, and the groups of examples."""

    name: str
    meaning: str
    total: int
    shown: int
    pairs: int
    groups: list[MistakeGroup]


@dataclass(frozen=True)
class Split:
    """The contents of the page about one data set, or about one of its heads."""

    name: str
    kind: GoldKind | None
    headline: str | None
    documents: int
    scores: Mapping[str, Any]
    details: Mapping[str, float]
    labels: list[tuple[str, Mapping[str, Any]]]
    values: Mapping[str, Mapping[str, Any]]
    scatters: list[Curve]
    mistakes: Mistakes | None
    kinds: list[MistakeKind]
    confusion: Confusion | None
    calibration: Mapping[str, Any]
    reliability: Markup
    times: Times
    unseen: Unseen

    @property
    def coverage(self) -> Mapping[str, int]:
        """The coverage as counted by `evaluation.score`."""
        return self.scores.get("coverage") or {}

    @property
    def is_share(self) -> bool:
        """Whether the headline is better if it is greater."""
        return self.kind is None or self.headline is None or self.kind.metric.greater_is_better(self.headline)

    @property
    def has_labels(self) -> bool:
        """Whether labels can be confused."""
        return self.kind is None or self.kind.confuses_labels

    @property
    def has_spans(self) -> bool:
        """Whether mistakes are ranges of the text, which show their scores."""
        return self.kind is not None and self.kind.shows_spans

    @property
    def pairs_shown(self) -> int:
        """How many pairs of labels have examples of mistakes."""
        return 0 if self.kind is None else self.kind.pairs_shown

    @property
    def examples_shown(self) -> int:
        """How many examples of each are shown."""
        return 0 if self.kind is None else self.kind.examples_shown


def write_report(folder: str | Path) -> Path:
    """Write `report.html` into the folder of a run from its files, without loading a model.

    The page is one file that needs neither a network nor a script. Long lists are truncated, and the page says so.

    Args:
        folder: the folder of a run, such as `runs/quickstart`, or its `model` folder.

    Returns:
        The path of the page.

    Raises:
        InvalidDataError: this is not the folder of a run, or a file is damaged.
    """
    run = read_run(folder)
    target = run.folder / REPORT_FILE
    write_atomically(target, render(run))
    return target


def report_link(report: Path) -> Text:
    """Return a link to a report for a terminal.

    Example:
        >>> report_link(Path("/runs/demo/report.html")).plain
        'report file:///runs/demo/report.html'
    """
    address = report.resolve().as_uri()
    return Text.assemble(("report", "bold"), " ", (address, f"link {address}"))


def render(run: RunFiles) -> str:
    """Render the page of a run."""
    splits = [_split(run, one) for one in scores_of_heads(run.metrics)]
    headline = _main_score(run)
    chosen = str(run.config.training.get("metric_for_best_model", "")).removeprefix("eval_") or None
    learning: list[Curve] = curves(run.log, best=chosen)
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            run=run,
            name=run.config.name,
            facts=header_facts(run),
            machine=manifest_facts(run.manifest),
            replay=replay_facts(run),
            headline=headline,
            splits=splits,
            fitted=fitted_notes(run.metrics),
            curves=learning,
            has_labels=any(split.has_labels for split in splits),
            has_values=any(split.values or not split.has_labels for split in splits),
            has_spans=any(split.has_spans for split in splits),
            passage_style=STYLE_SHEET,
        )
    )


def _split(run: RunFiles, of: HeadScores) -> Split:
    scores = of.scores
    mistakes, times, unseen = None, Times(), Unseen()
    kind = None if run.needs is None else gold_kind(run.needs).parts.get(of.head, gold_kind(run.needs))
    if kind is not None and of.data in run.predictions:
        mistakes = Mistakes(kind)
        for document, seconds in read_predictions(run.predictions[of.data]):
            if (view := view_of_head(document, of.head)) is None:
                continue
            mistakes.add(view)
            unseen.add(view)
            if seconds is not None:
                times.add(view, seconds)
    calibration = scores.get("calibration") or {}
    bins = calibration.get("bins") or []
    return Split(
        name=of.title,
        kind=kind,
        headline=_headline(kind, scores),
        documents=mistakes.documents if mistakes is not None else of.documents,
        scores=scores,
        details=details(scores),
        values=scores.get("per_value", {}),
        scatters=[] if mistakes is None else _scatters(mistakes),
        labels=sorted(scores.get("per_label", {}).items(), key=lambda item: (item[1]["f1"], item[0])),
        mistakes=mistakes,
        kinds=[] if mistakes is None else mistake_kinds(mistakes),
        confusion=_confusion(mistakes),
        calibration=calibration,
        reliability=reliability_diagram(bins, title="share of correct predictions by confidence")
        if bins
        else Markup(""),
        times=times,
        unseen=unseen,
    )


def _confusion(mistakes: Mistakes | None) -> Confusion | None:
    if mistakes is None or not mistakes.pairs or not mistakes.kind.confuses_labels:
        return None
    return confusion(mistakes.pairs)


def _scatters(mistakes: Mistakes) -> list[Curve]:
    """A picture of predictions by gold for each value."""
    return [
        Curve(
            name,
            scatter_chart(points, title=f"predictions of {name} by gold", x_name="gold"),
            Markup(""),
            f"the first {POINTS:,} documents" if len(points) == POINTS else "",
        )
        for name, points in mistakes.numbers.items()
    ]


def mistake_kinds(mistakes: Mistakes) -> list[MistakeKind]:
    """Return the kinds of mistakes that were made, with examples."""
    kinds = []
    gold = mistakes.kind
    for name, meaning in gold.mistakes.items():
        groups = [MistakeGroup(*found) for found in examples_of(mistakes, name, pairs=gold.pairs_shown)]
        if groups:
            shown = sum(len(group.examples) for group in groups)
            counted = mistakes.kinds[name]
            kinds.append(MistakeKind(name, meaning, counted.total(), shown, len(counted), groups))
    return kinds


def _main_score(run: RunFiles) -> str | None:
    """Return the main score of the run: that of its task, or else the first score."""
    kind = None if run.needs is None else gold_kind(run.needs)
    found = (_headline(kind, scores) for scores in run.metrics.values())
    return next((name for name in found if name is not None), None)


def _headline(kind: GoldKind | None, scores: Mapping[str, Any]) -> str | None:
    """Return the main score of a kind of gold, or else the first score that is a number."""
    numbers = [name for name, value in scores.items() if isinstance(value, float)]
    best = None if kind is None else kind.metric.best
    return best if best in numbers else next(iter(numbers), None)


def environment(*packages: str) -> Environment:
    """Return the environment of the templates, with the filters that they use.

    Args:
        packages: other packages with a folder `templates`, whose pages can include those of the report.
    """
    found = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=ChoiceLoader(
            [PackageLoader(package, "templates") for package in (*packages, "nlp_training.reports.html")]
        ),
    )
    found.filters |= {
        "shown": lambda text: visible_line(str(text)),
        "visible": lambda text: visible(str(text)),
        "number": number_text,
        "score": "{:.4f}".format,
        "maybe": lambda value: "" if not isinstance(value, float) else f"{value:.4f}",
        "percent": "{:.1%}".format,
        "thousands": "{:,}".format,
        "milliseconds": lambda seconds: f"{seconds * 1000:,.1f} ms",
        "words": score_name,
        "bar": score_bar,
        "color": label_color,
        "passage": passage_html,
        "read": share_read,
        "interval": interval_text,
    }
    return found
