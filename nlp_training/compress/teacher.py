"""The teacher of a compression: a saved model, its configuration, and the documents to train and to score on."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlp_inference import Annotation, Document, Predictor, Processor, Task
from nlp_inference.architectures import AutoModelForPooledSequenceClassification
from nlp_inference.backends.descriptors import REFERENCE
from nlp_inference.backends.torch import load_model
from nlp_inference.errors import InvalidSpecError
from nlp_training._utils.layer_stacks import layer_stacks
from nlp_training.artefact.folder import model_folder
from nlp_training.config import RunConfig, load_config
from nlp_training.config.user_modules import import_modules
from nlp_training.data import check_documents, load_documents
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.splits import SplitSettings
from nlp_training.evaluation.fitting import with_task
from nlp_training.gold import gold_kind_of
from nlp_training.trainer.splits import load_splits

_NARROW = 512
"""The largest hidden size of a model that is trained at the higher learning rate."""

_FEWEST = 10
"""Texts from which a validation split can be made."""


@dataclass
class CompressData:
    """The documents of a compression.

    Attributes:
        train: documents with gold, and texts with predictions of the teacher in its place.
        validation: documents that decide.
        test: test sets, which are scored and never decide.
        labelled: how many documents of `train` have the gold of people.
        is_agreement: whether the gold of `validation` is predictions of the teacher, so scores are agreement with it.
    """

    train: list[Document]
    validation: list[Document]
    test: dict[str, list[Document]] = field(default_factory=dict)
    labelled: int = 0
    is_agreement: bool = False


@dataclass
class CompressTeacher:
    """A saved model to compress.

    Attributes:
        folder: the folder of the model.
        predictor: the model in float32, as production loads it.
        model: the weights, in evaluation mode.
        config: the configuration of its training; `None` for an artefact without one.
    """

    folder: Path
    predictor: Predictor
    model: Any
    config: RunConfig | None

    @classmethod
    def load(cls, source: str | Path) -> "CompressTeacher":
        """Load a teacher.

        Args:
            source: the folder of a run, or of an artefact.

        Raises:
            ArtefactError: there is no model, or it is damaged.
        """
        folder = model_folder(source)
        path = folder / "training.yaml"
        config = load_config(path) if path.is_file() else None
        if config is not None:
            import_modules(config.modules)
        predictor = Predictor.from_pretrained(folder, backend=REFERENCE, max_characters=None)
        processor = predictor.processor
        model = load_model(folder, task=processor.task, fingerprint=processor.fingerprint)
        return cls(folder, predictor, model, config)

    @property
    def processor(self) -> Processor:
        """The processor, which students share unless their vocabulary is smaller."""
        return self.predictor.processor

    @property
    def stacks(self) -> dict[str, int]:
        """The number of layers of each stack."""
        return {name: len(stack) for name, stack in layer_stacks(self.model).items()}

    @property
    def pooling(self) -> str | None:
        """How the head pools tokens, as `model.pooling`; `None` if it is the head of transformers for its family."""
        default = "mean" if isinstance(self.model, AutoModelForPooledSequenceClassification.mixin) else None
        return getattr(self.model.config, "text_pooling", None) or default

    @property
    def learning_rate(self) -> float:
        """The learning rate of students: that of the teacher's training, or one for its size."""
        given: Mapping[str, Any] = {} if self.config is None else self.config.training
        size = getattr(self.model.config, "hidden_size", None) or _NARROW
        default = 3e-4 if size <= _NARROW else 1e-4
        return float(given.get("learning_rate") or default)

    def documents(self, data: Any = None, texts: Any = None, *, seed: int) -> CompressData:
        """Load the documents: those of `data`, else those of the teacher's training; and texts that it labels.

        Args:
            data: documents with gold: a path, or the keys of a data source.
            texts: documents without gold.
            seed: of splits.

        Raises:
            InvalidDataError: there are no documents, or they are invalid.
        """
        unlabelled = [] if texts is None else self.label(load_documents(texts, default_split="train"))
        splits = self._splits(data, seed=seed)
        train, validation = splits.pop("train", []), splits.pop("validation", [])
        labelled = len(train)
        if not train and not unlabelled:
            raise InvalidDataError(
                f"{str(self.folder)!r} names no training documents; give documents with gold with --data, or texts "
                "without gold with --texts"
            )
        is_agreement = not validation
        if is_agreement:
            few = len(unlabelled) < _FEWEST
            if few and not train:
                raise InvalidDataError(f"--texts has {len(unlabelled)} usable texts; give at least {_FEWEST}")
            source = train if few else unlabelled
            parts = SplitSettings(validation=0.2, seed=seed, stratify=False).split(source)
            validation = parts["validation"]
            train, unlabelled = (parts["train"], unlabelled) if few else (train, parts["train"])
            is_agreement = not few
        return CompressData([*train, *unlabelled], validation, splits, labelled, is_agreement)

    def _splits(self, data: Any, *, seed: int) -> dict[str, list[Document]]:
        if data is not None:
            documents = load_documents(data, default_split="train")
            if any(one.gold is None for one in documents):
                raise InvalidDataError("a document of --data has no gold; give texts without gold with --texts")
            splits = SplitSettings(validation=0.2, seed=seed).split(documents)
        elif self.config is not None:
            if self.config.data.train.streaming:
                raise InvalidSpecError(
                    "the training documents of the teacher are streamed; give a part of them with --data FILE"
                )
            splits = load_splits(self.config)
        else:
            return {}
        task = self.processor.task
        check_documents(
            splits,
            flat=task.flat,
            needs=task.needs,
            labels=getattr(task, "labels", None),
            task_problem=task.gold_problem,
        )
        return splits

    def label(self, documents: Sequence[Document]) -> list[Document]:
        """Return documents with predictions of the teacher as gold, without those that the task cannot learn from."""
        task = self.processor.task
        kind = gold_kind_of(task)
        found = []
        for one in self._one_label().stream([task.as_input(one) for one in documents], on_error="record"):
            if not isinstance(one, Document) or one.predicted is None:
                continue
            gold = _as_gold(one.predicted)
            if kind.problem(gold) is None and task.gold_problem(gold) is None:
                fields = {"raw_text": one.raw_text, "raw_text_pair": one.raw_text_pair, "gold": gold}
                found.append(Document(**{name: value for name, value in fields.items() if value is not None}))
        return found

    def _one_label(self) -> Predictor:
        """Return the predictor with one label for each text, where the task can return several."""
        task = self.processor.task
        if getattr(task, "top_k", 1) == 1:
            return self.predictor
        one: Task = type(task).model_validate({**task.model_dump(), "top_k": 1})
        return self.predictor.with_processor(with_task(self.processor, one))


def _as_gold(predicted: Annotation) -> Annotation:
    """Return a prediction without scores, also in its heads."""
    fields: dict[str, Any] = {
        name: tuple(item.model_copy(update={"score": None}) for item in getattr(predicted, name))
        for name in ("spans", "categories", "relations")
    }
    heads = {name: _as_gold(one) for name, one in predicted.heads.items()}
    return predicted.model_copy(update={**fields, "label_scores": {}, "heads": heads})


def run_name(given: str) -> str:
    """Return a valid name of a run.

    Example:
        >>> run_name("my model/x")
        'my-model-x'
    """
    return re.sub(r"[^A-Za-z0-9._-]", "-", given).lstrip("._-") or "model"
