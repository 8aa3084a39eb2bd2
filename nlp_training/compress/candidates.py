"""Candidates of a compression: a student in one backend and precision, exported, verified, scored and measured."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from nlp_inference import Document, Predictor
from nlp_inference.backends.descriptors import REFERENCE, find_backend
from nlp_inference.registry import Spec
from nlp_training.compress.measuring import Measured
from nlp_training.compress.options import Variant
from nlp_training.config import RunConfig, save_config
from nlp_training.evaluation import compare, predict_beside_gold, score
from nlp_training.evaluation.evaluate import paired_test
from nlp_training.export import Refused, export_model
from nlp_training.export.score import score_drop

_ANY_DROP = float("inf")
_RESAMPLES = 10_000
_POINTS = 100


class LabelLoss(BaseModel):
    """The F1 of a label of the teacher and of a candidate, and its number of gold annotations."""

    model_config = ConfigDict(frozen=True)

    label: str
    before: float
    after: float
    support: int


class SetScore(BaseModel):
    """The score of a candidate on one data set, next to that of the teacher.

    Attributes:
        name: the name of the score.
        teacher, value: the scores.
        drop: the points that the candidate loses; negative if it gains.
        interval: the 95 % interval of `drop`, by a paired bootstrap; `None` if the paired test is of another score.
        p_value: of the paired test; `None` without a test.
        documents: the number of documents.
        labels: the labels, the one that lost most first.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    teacher: float
    value: float
    drop: float
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    documents: int
    labels: tuple[LabelLoss, ...] = ()

    @property
    def change(self) -> float:
        """The points that the candidate gains; 0 has no sign."""
        return 0.0 - self.drop


class Candidate(BaseModel):
    """A student in one backend and precision.

    Attributes:
        student: the name of the student; empty for the teacher.
        backend, dtype, int8_mode: see `Variant`.
        layers: how many layers of each stack it has.
        width: the width of its feed-forward blocks; `None` if it is that of the teacher.
        refused: why it cannot be used; empty if it is verified.
        validation: its score on the documents that decide.
        test: its scores on test sets, which never decide.
        measured: its speed and size.
    """

    student: str
    backend: str
    dtype: str
    int8_mode: str | None = None
    layers: dict[str, int]
    width: int | None = None
    refused: str = ""
    folder: str = ""
    validation: SetScore | None = None
    test: dict[str, SetScore] = {}
    measured: Measured | None = None

    @property
    def is_teacher(self) -> bool:
        """Whether it is the uncompressed teacher."""
        return not self.student

    @property
    def name(self) -> str:
        """A name that is unique in a compression."""
        return "-".join(part for part in (self.student or "teacher", self.backend, self.dtype, self.int8_mode) if part)

    @property
    def precision(self) -> str:
        """The backend and the precision, as tables show them."""
        return " ".join(part for part in (self.backend, self.dtype, self.int8_mode) if part)


class Reference:
    """The predictions of the teacher in float32 on all documents that candidates are scored on.

    Args:
        predictor: the teacher.
        sets: documents with gold by data set.
    """

    def __init__(self, predictor: Predictor, sets: Mapping[str, Sequence[Document]]) -> None:
        self.needs: Spec = predictor.processor.task.needs
        self.sets = {name: documents for name, documents in sets.items() if documents}
        self._seen = {name: list(_seen(predictor, documents, self.needs)) for name, documents in self.sets.items()}
        self._scores = {name: score(seen, needs=self.needs) for name, seen in self._seen.items()}

    def own_scores(self) -> dict[str, SetScore]:
        """Return the scores of the teacher on each data set."""
        return {name: self._compared(name, seen, self._scores[name]) for name, seen in self._seen.items()}

    def score(self, predictor: Predictor) -> dict[str, SetScore]:
        """Score a candidate on each data set, next to the teacher."""
        found = {}
        for name, documents in self.sets.items():
            seen = list(_seen(predictor, documents, self.needs))
            found[name] = self._compared(name, seen, score(seen, needs=self.needs))
        return found

    def _compared(self, name: str, seen: Sequence[Any], scores: Mapping[str, Any]) -> SetScore:
        paired = paired_test(self._seen[name], seen, needs=self.needs)
        return set_score(self._scores[name], scores, paired, needs=self.needs)


def _seen(predictor: Predictor, documents: Sequence[Document], needs: Spec) -> Any:
    return compare(predict_beside_gold(predictor, documents), needs=needs)


def set_score(
    before: Mapping[str, Any], after: Mapping[str, Any], paired: Mapping[str, Any], *, needs: Spec
) -> SetScore:
    """Return the score of a candidate next to that of the teacher.

    Args:
        before, after: the scores of the teacher and of the candidate.
        paired: the paired test, with the teacher as the first model.
        needs: the kind of gold.
    """
    drop = score_drop(before, after, needs=needs)
    low, high = difference_interval(paired) if paired.get("score") == drop.name else (None, None)
    sign = -_POINTS if drop.greater_is_better else _POINTS
    interval = None if low is None or high is None else (min(sign * low, sign * high), max(sign * low, sign * high))
    return SetScore(
        name=drop.name,
        teacher=drop.before,
        value=drop.after,
        drop=drop.points,
        interval=interval,
        p_value=paired.get("p_value"),
        documents=drop.documents,
        labels=tuple(
            LabelLoss(label=one.label, before=one.before, after=one.after, support=one.support) for one in drop.labels
        ),
    )


def difference_interval(paired: Mapping[str, Any]) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % interval of the difference of a paired test, or `None` twice if it has none.

    McNemar's test has counts of documents for which one model is correct and the other is not; documents are drawn from
    them with replacement.

    Example:
        >>> difference_interval({"first_only": 0, "second_only": 0, "documents": 8})
        (0.0, 0.0)
    """
    if "interval" in paired:
        low, high = paired["interval"]
        return float(low), float(high)
    if "first_only" not in paired or not paired["documents"]:
        return None, None
    first, second, total = (int(paired[name]) for name in ("first_only", "second_only", "documents"))
    drawn = np.random.default_rng(0).multinomial(
        total, [first / total, second / total, 1 - (first + second) / total], size=_RESAMPLES
    )
    low, high = np.quantile((drawn[:, 1] - drawn[:, 0]) / total, [0.025, 0.975])
    return float(low), float(high)


def export_candidate(
    model: Path, variant: Variant, target: Path, *, config: RunConfig | None = None
) -> tuple[Path | None, str]:
    """Export a student in one variant; return the folder of the artefact, and why it is refused.

    Exports in the same precision have the same file names, so each variant has its own artefact.

    Args:
        model: the artefact of the student.
        variant: the backend and precision.
        target: the folder of the artefact with the export.
        config: a configuration that names the documents, if that of the artefact does not.
    """
    descriptor = find_backend(variant.backend)
    if descriptor.exported is None:
        return model, ""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(model, target, copy_function=_link)
    if config is not None:
        (target / "training.yaml").unlink(missing_ok=True)  # it may be a link
        save_config(config, target / "training.yaml")
    [found] = export_model(
        target, backend=variant.backend, dtypes=[variant.dtype], int8_mode=variant.int8_mode, max_drop=_ANY_DROP
    )
    if isinstance(found, Refused):
        shutil.rmtree(target)
        return None, found.reason
    return target, ""


def _link(source: str, target: str) -> None:
    """Link a file, which needs no space; every file of an artefact is replaced, never changed."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def load_candidate(folder: Path, variant: Variant) -> Predictor:
    """Load a candidate as production does, after its golden records are verified.

    Raises:
        VerificationError: it does not repeat its golden records.
    """
    return Predictor.from_pretrained(
        folder, backend=variant.backend, dtype=variant.dtype, device="cpu", verify=True, max_characters=None
    )


def teacher_variant() -> Variant:
    """Return the variant in which the teacher is the reference."""
    return Variant(REFERENCE, "float32")
