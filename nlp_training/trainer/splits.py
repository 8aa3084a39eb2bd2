"""The documents of a run, from its configuration."""

import warnings

from nlp_inference import Document
from nlp_training.config import RunConfig
from nlp_training.config.user_modules import import_modules
from nlp_training.data import load_documents, with_made_splits
from nlp_training.data.errors import DataWarning
from nlp_training.data.labels import complete_task
from nlp_training.data.overlaps import DroppedSpan, flat_documents
from nlp_training.data.unknown_labels import DroppedLabels, KnownLabels

_SHOWN = 5
Splits = dict[str, list[Document]]


def load_splits(config: RunConfig) -> Splits:
    """Return the documents of every split: `train`, `validation` if there is one, and the test sets by their names.

    A streamed `train` is left out, because it is never in memory.

    Raises:
        InvalidDataError: documents cannot be read, or cannot be split by `data.split`.
    """
    loaded: Splits = {}
    for name, (source, split) in config.data.sources().items():
        if not source.streaming:
            dropped: list[DroppedSpan] = []
            documents = load_documents(source, default_split=split)
            loaded[name] = list(flat_documents(documents, config.data.overlapping_spans, dropped))
            if dropped:
                _warn_of_dropped_spans(name, config.data.overlapping_spans, dropped)
    splits, unknown = drop_unknown_labels(config, with_made_splits(loaded, config.data.split))
    for name, labels in unknown.items():
        warnings.warn(f"{name}: dropped {labels} (data.unknown_labels: drop)", DataWarning, stacklevel=2)
    return splits


def drop_unknown_labels(config: RunConfig, splits: Splits) -> tuple[Splits, dict[str, DroppedLabels]]:
    """Drop gold labels that the task does not know, if `data.unknown_labels` is `drop`.

    Returns:
        The documents of each split, and what was dropped from the splits that had unknown labels.
    """
    if config.data.unknown_labels != "drop":
        return splits, {}
    import_modules(config.modules)
    known = KnownLabels.of(complete_task(config.processor.task, splits.get("train")))
    dropped = {name: DroppedLabels() for name in splits}
    kept = {name: list(known.only(documents, dropped[name])) for name, documents in splits.items()}
    return kept, {name: labels for name, labels in dropped.items() if labels.labels}


def _warn_of_dropped_spans(split: str, how: str, dropped: list[DroppedSpan]) -> None:
    shown = "; ".join(map(str, dropped[:_SHOWN]))
    warnings.warn(
        f"{split}: {len(dropped)} overlapping gold spans were dropped (data.overlapping_spans: {how}): {shown}. "
        "`nlp-training check-data` lists all of them",
        DataWarning,
        stacklevel=3,
    )
