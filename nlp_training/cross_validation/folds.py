"""The folds of a cross-validation and their files."""

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
    """How to divide documents into folds.

    Args:
        folds: the number of folds, at least two.
        stratify: whether each fold has its share of every label.
        group_by: `text`, or a key such as `metadata.patient`: documents with the same value are in the same fold.
    """

    folds: int = 5
    stratify: bool = True
    group_by: str | None = None


@dataclass(frozen=True, slots=True)
class Fold:
    """A fold, whose documents are predicted by a model that was trained on the other documents.

    Args:
        folder: the folder of the fold, in `folds/` of the run.
        tested: the indices of its documents among all documents.
        trained: the indices of the other documents.
        made_from: a digest of everything that affects its predictions.
    """

    folder: Path
    tested: Sequence[int]
    trained: Sequence[int]
    made_from: str

    def predictions_in(self, folder: Path) -> PredictionFile:
        """Return the file of the predictions in a folder."""
        return PredictionFile(folder, "predictions")

    def save_scores(self, folder: Path, scores: dict[str, Any]) -> None:
        """Write the scores to a folder that becomes the folder of this fold; this must be the last file."""
        content = {"made_from": self.made_from, "scores": scores}
        (folder / _METRICS).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def scores(self) -> dict[str, Any] | None:
        """Return the saved scores, if the fold was completed with this configuration and these documents."""
        path = self.folder / _METRICS
        content = json.loads(path.read_bytes()) if path.is_file() else {}
        return content["scores"] if content.get("made_from") == self.made_from else None

    def is_taken(self) -> bool:
        """Return whether the folder contains a completed fold of another configuration, data or division."""
        return (self.folder / _METRICS).is_file() and self.scores() is None

    def predicted(self) -> Iterator[tuple[int, Document]]:
        """Yield the documents with gold and predictions, each with its index among all documents."""
        documents = (document for document, _ in read_predictions(self.predictions_in(self.folder)))
        return zip(self.tested, documents, strict=True)


def make_folds(
    documents: Sequence[Document], config: RunConfig, settings: FoldSettings, *, validation: Sequence[Document] = ()
) -> list[Fold]:
    """Divide documents with the seed of a run; each document is tested in exactly one fold.

    Args:
        documents: documents with gold.
        config: the resolved configuration of the run.
        validation: the validation documents, which also affect predictions.
        settings: how to divide the documents.

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
    index_of = {id(document): index for index, document in enumerate(documents)}
    made_from = _digest([*documents, *validation], config)
    folds = []
    for name in names:
        tested = [index_of[id(document)] for document in parts[name]]
        content = json.dumps([made_from, tested])
        trained = sorted({*index_of.values()} - {*tested})
        folds.append(Fold(config.folder / "folds" / name, tested, trained, sha256(content.encode()).hexdigest()))
    return folds


def _digest(documents: Sequence[Document], config: RunConfig) -> str:
    """Return a digest of everything except the division. The order of documents counts because weights depend on it."""
    digest = sha256(config.model_dump_json(exclude={"search", "name", "output_dir", "golden"}).encode())
    for document in documents:
        digest.update(document.model_dump_json().encode())
    return digest.hexdigest()
