"""The folds of a cross-validation, and what each of them leaves."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from nlp_inference import Document
from nlp_training.config import RunConfig
from nlp_training.data.splits import split_documents
from nlp_training.evaluation.prediction_files import PredictionFile, read_predictions

_METRICS = "metrics.json"


@dataclass(frozen=True, slots=True)
class FoldSettings:
    """How documents are divided.

    Args:
        folds: how many parts, two at least.
        stratify: whether each has its share of every label.
        group_by: `text`, or a key such as `metadata.patient`: documents with the same value are in one part.
    """

    folds: int = 5
    stratify: bool = True
    group_by: str | None = None


@dataclass(frozen=True, slots=True)
class Fold:
    """One part of the documents, which the others are trained to predict.

    Args:
        folder: where what it leaves is, under `folds/` of the run.
        tested: places of its documents among all of them.
        trained: places of the others.
        made_from: digest of everything that decides its predictions.
    """

    folder: Path
    tested: Sequence[int]
    trained: Sequence[int]
    made_from: str

    def predictions_in(self, folder: Path) -> PredictionFile:
        """The file of the predictions, while they are written to another folder."""
        return PredictionFile(folder, "predictions")

    def save_scores(self, folder: Path, scores: dict[str, Any]) -> None:
        """Write the scores, last of all, to a folder that will be this fold's."""
        content = {"made_from": self.made_from, "scores": scores}
        (folder / _METRICS).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def scores(self) -> dict[str, Any] | None:
        """The scores that it left, if it is done, with this configuration and these documents."""
        path = self.folder / _METRICS
        content = json.loads(path.read_bytes()) if path.is_file() else {}
        return content["scores"] if content.get("made_from") == self.made_from else None

    def is_taken(self) -> bool:
        """Whether its folder holds a completed fold of another configuration, other documents or another division."""
        return (self.folder / _METRICS).is_file() and self.scores() is None

    def predicted(self) -> Iterator[tuple[int, Document]]:
        """The documents with gold and predicted, each with its place among all of them."""
        documents = (document for document, _ in read_predictions(self.predictions_in(self.folder)))
        return zip(self.tested, documents, strict=True)


def make_folds(
    documents: Sequence[Document], config: RunConfig, settings: FoldSettings, *, validation: Sequence[Document] = ()
) -> list[Fold]:
    """Divide documents by the seed of a run; each is tested in exactly one fold.

    Args:
        documents: with gold.
        config: of the run, resolved.
        validation: what else decides predictions.
        settings: how to divide them.

    Raises:
        InvalidDataError: there are too few documents or groups, or one has no value for the key.
    """
    names = [f"fold-{number}" for number in range(1, settings.folds + 1)]
    parts = split_documents(
        documents,
        dict.fromkeys(names, 1 / settings.folds),
        seed=config.seed,
        stratify=settings.stratify,
        group_by=settings.group_by,
    )
    place_of = {id(document): place for place, document in enumerate(documents)}
    made_from = _digest([*documents, *validation], config)
    folds = []
    for name in names:
        tested = [place_of[id(document)] for document in parts[name]]
        own = json.dumps([made_from, tested])
        trained = sorted({*place_of.values()} - {*tested})
        folds.append(Fold(config.folder / "folds" / name, tested, trained, sha256(own.encode()).hexdigest()))
    return folds


def _digest(documents: Sequence[Document], config: RunConfig) -> str:
    """Of everything but the division; the order of the documents counts, since weights depend on it."""
    digest = sha256(config.model_dump_json(exclude={"search", "name", "output_dir", "golden"}).encode())
    for document in documents:
        digest.update(document.model_dump_json().encode())
    return digest.hexdigest()
