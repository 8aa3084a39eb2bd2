"""Several tasks as the heads of one encoder, which runs once for all of them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PlainSerializer, SerializationInfo, field_validator, model_validator

from nlp_inference._utils.cached import cached
from nlp_inference.document import Annotation
from nlp_inference.document.annotation import qualified
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.encoding.words import WordRule
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.registry import Spec
from nlp_inference.tasks.base import Arrays, DocumentOutputs, LostSpan, Task

PRESENT = "present"
"""The target that says whether a head of a row has gold: 1 or 0."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def _spec(task: Task, info: SerializationInfo) -> Any:
    """Return the shortest specification of a head, or one with all fields where defaults are not excluded."""
    return task.to_spec() if info.exclude_defaults else {task.name: task.model_dump(mode="json")}


HeadTask = Annotated[Task, BeforeValidator(Task.from_spec), PlainSerializer(_spec)]
"""A task as a field, saved as its specification."""

HeadWeight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class MultiTask(Task):
    """Several tasks on one encoder, which runs once for all of them. Each is a head with a name.

    `Annotation.heads` has the annotation of each head, in gold and in predictions. A document may have gold for some
    heads only; the others are not trained and not scored with it. Model outputs, targets and scores of a head have its
    name and `_` in front, as in `intent_logits` and `intent_accuracy`; its labels have its name and a slash, as in
    `intent/play`.

    Args:
        heads: the tasks by the name of their head, as specifications. Each has its own temperature and thresholds.
        weights: the weight of the loss of each head, 1 if it is not named.
        selection: the scores by which the best weights are chosen, and the weight of each in their mean, such as
            `{intent_accuracy: 1, slots_f1: 2}`. By default, one score of each head counts alike: the default score of
            its task, or the first one that is better if it is greater. A weight below 0 is for an error.

    Example:
        >>> task = MultiTask(heads={
        ...     "intent": {"text-classification": {"labels": ["play", "stop"]}},
        ...     "slots": {"token-classification": {"labels": ["artist"]}},
        ... })
        >>> task.outputs, task.labels
        (('intent_logits', 'slots_logits'), ('intent/play', 'intent/stop', 'slots/artist'))

    Raises:
        pydantic.ValidationError: there is no head, a name is not an identifier or the beginning of another one, a task
            cannot share an encoder, or the heads define words differently.
    """

    name = "multi-task"
    auto_model = "AutoModelForMultiTask"
    pipeline_tag = "token-classification"
    default_loss: ClassVar[str | None] = "heads"
    selection_score = "combined"

    heads: dict[str, HeadTask]
    weights: dict[str, HeadWeight] = Field(default_factory=dict)
    selection: dict[str, float] = Field(default_factory=dict)

    @field_validator("heads")
    @classmethod
    def _check_heads(cls, heads: dict[str, Task]) -> dict[str, Task]:
        if not heads:
            raise ValueError("there is no head; write the name of each head and its task")
        for name, task in heads.items():
            if _NAME.fullmatch(name) is None:
                raise ValueError(f"the name of a head is {name!r}; use letters, digits and underscores")
            if task.encoder_head is None:
                known = ", ".join(sorted(key for key, one in Task.members.items() if _can_be_head(one)))
                raise ValueError(f"the task {task.name!r} of the head {name!r} cannot share an encoder; choose {known}")
        for one, other in permutations(heads, 2):
            if other.startswith(f"{one}_"):
                raise ValueError(f"the head {other!r} begins with the name of the head {one!r}; rename one of them")
        if len(rules := {task.word_rule for task in heads.values() if "words" in type(task).model_fields}) > 1:
            raise ValueError(f"the heads define words differently: {', '.join(sorted(rules))}; set the same `words`")
        return heads

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        unknown = [name for name in self.weights if name not in self.heads]
        if unknown:
            raise ValueError(f"weights names the head {unknown[0]!r}, but the heads are {', '.join(self.heads)}")
        return self

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks of the heads."""
        return self.heads

    @classmethod
    def task_specs(cls, settings: Mapping[str, Any]) -> Mapping[str, Spec]:
        """Return the specifications of the heads."""
        heads = settings.get("heads")
        return heads if isinstance(heads, Mapping) else {}

    @classmethod
    def with_task_specs(cls, settings: Mapping[str, Any], specs: Mapping[str, Spec]) -> dict[str, Any]:
        """Return settings with other specifications of the heads."""
        return {**settings, "heads": dict(specs)}

    def with_tasks(self, tasks: Mapping[str, Task]) -> "MultiTask":
        """Return this task with other heads."""
        return type(self)(heads=dict(tasks), weights=self.weights, selection=self.selection)

    def only(self, names: Iterable[str]) -> "MultiTask":
        """Return this task with some of its heads, which decodes nothing else.

        Raises:
            InvalidSpecError: there is no head of a name.
        """
        wanted = list(names)
        unknown = [name for name in wanted if name not in self.heads]
        if unknown or not wanted:
            raise InvalidSpecError(f"heads is {wanted!r}, expected some of {', '.join(self.heads)}")
        kept = {name: task for name, task in self.heads.items() if name in wanted}
        weights = {name: weight for name, weight in self.weights.items() if name in kept}
        return type(self)(heads=kept, weights=weights, selection=self.selection)

    @property
    def needs(self) -> Spec:  # type: ignore[override]  # it depends on the heads
        """The kind of gold `heads`, with that of each head."""
        kinds = {name: task.needs for name, task in self.heads.items()}
        best = {name: task.selection_score for name, task in self.heads.items() if task.selection_score is not None}
        flat = [name for name, task in self.heads.items() if task.flat]
        return {"heads": {"kinds": kinds, "best": best, "flat": flat, "selection": self.selection}}

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]  # it depends on the heads
        """The outputs of all heads."""
        return tuple(f"{name}_{output}" for name, task in self.heads.items() for output in task.outputs)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all heads, each with the name of its head."""
        named = {name: getattr(task, "labels", ()) for name, task in self.heads.items()}
        return tuple(qualified(name, label) for name, labels in named.items() for label in labels)

    @property
    def word_rule(self) -> WordRule:
        """The definition of a word of the heads that find spans."""
        rules: list[WordRule] = [task.word_rule for task in self.heads.values() if "words" in type(task).model_fields]
        return rules[0] if rules else super().word_rule

    @cached
    def head_settings(self) -> dict[str, dict[str, Any]]:
        """For each head, what `config.json` contains: the kind of head and its labels."""
        return {
            name: {"kind": task.encoder_head, "labels": list(task.model_settings()["id2label"].values())}
            for name, task in self.heads.items()
        }

    def model_settings(self) -> dict[str, Any]:
        """Return `task_heads`, the kind of each head and its labels."""
        return {"task_heads": self.head_settings}

    def model_outputs_of(self, head: str, outputs: Arrays) -> Arrays:
        """Return the outputs of a head under the names that its task knows."""
        start = f"{head}_"
        return {name.removeprefix(start): array for name, array in outputs.items() if name.startswith(start)}

    def gold_problem(self, gold: Annotation) -> str | None:
        """Refuse gold for unknown heads, gold without any head, and what the task of a head refuses."""
        unknown = [name for name in gold.heads if name not in self.heads]
        if unknown:
            return f"has gold for the head {unknown[0]!r}, but the heads are {', '.join(map(repr, self.heads))}"
        for name, one in gold.heads.items():
            task = self.heads[name]
            overlap = _overlap(one) if task.flat else None
            if (problem := overlap or task.gold_problem(one)) is not None:
                return f"(head {name!r}) {problem}"
        return None

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """Return the targets of each head that has gold, and `{head}_present` `[]`, whether it has, for all heads.

        Raises:
            InvalidDocumentError: the document has no gold, or gold that the task of a head cannot learn from.
        """
        targets: list[dict[str, NDArray[Any]]] = [{} for _ in rows]
        for name, task in self.heads.items():
            of_head = self._encoded_for(name, encoded)
            found = [{} for _ in rows] if of_head is None else task.targets(of_head, rows)
            present = np.array(int(of_head is not None), dtype=np.int64)
            for index, one in enumerate(found):
                targets[index] |= {f"{name}_{PRESENT}": present, **_prefixed(name, one)}
        return targets

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Return the perfect outputs of each head that has gold; `decode` leaves the others out."""
        outputs: list[dict[str, NDArray[Any]]] = [{} for _ in rows]
        for name, task in self.heads.items():
            if (of_head := self._encoded_for(name, encoded)) is not None:
                for index, one in enumerate(task.perfect_outputs(of_head, rows)):
                    outputs[index] |= _prefixed(name, one)
        return list(outputs)

    def condense(self, row: Row, outputs: Arrays) -> Arrays:
        """Reduce the outputs of each head."""
        condensed: dict[str, NDArray[Any]] = {}
        for name, task in self.heads.items():
            condensed |= _prefixed(name, task.condense(row, self.model_outputs_of(name, outputs)))
        return condensed

    def decode(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Annotation:
        """Return the annotation of each head whose outputs are given, as `Annotation.heads`."""
        return self.decode_all([DocumentOutputs(encoded, rows, outputs)])[0]

    def decode_all(self, outputs: Sequence[DocumentOutputs]) -> list[Annotation]:
        """Decode several documents, head by head."""
        found: list[dict[str, Annotation]] = [{} for _ in outputs]
        for name, task in self.heads.items():
            views = [one._replace(outputs=[self.model_outputs_of(name, row) for row in one.outputs]) for one in outputs]
            given = [index for index, view in enumerate(views) if all(view.outputs)]
            decoded = task.decode_all([views[index] for index in given])
            for index, annotation in zip(given, decoded, strict=True):
                found[index][name] = annotation
        return [Annotation(heads=heads) for heads in found]

    def lost_spans(self, encoded: EncodedDocument) -> list[LostSpan]:
        """Return the gold spans of each head that even a perfect model would not reproduce."""
        lost: list[LostSpan] = []
        for name, task in self.heads.items():
            if (of_head := self._encoded_for(name, encoded)) is not None:
                lost += [one._replace(head=name) for one in task.lost_spans(of_head)]
        return lost

    def value_unit(self, name: str, value: float) -> float:
        """Return the unit of the head's task; the name is that of the head, a slash and that of the value."""
        head, _, own = name.partition("/")
        return self.heads[head].value_unit(own, value) if head in self.heads else super().value_unit(name, value)

    def value_bin(self, name: str, value: float) -> str:
        """Return the bin of the head's task; the name is that of the head, a slash and that of the value."""
        head, _, own = name.partition("/")
        return self.heads[head].value_bin(own, value) if head in self.heads else super().value_bin(name, value)

    def _encoded_for(self, name: str, encoded: EncodedDocument) -> EncodedDocument | None:
        """Return the document with the gold of a head; `None` if the head is not annotated.

        Raises:
            InvalidDocumentError: the document has no gold.
        """
        document = encoded.document
        if document.gold is None:
            raise InvalidDocumentError(f"document {document.id!r} has no gold for any head")
        gold = document.gold.head(name)
        return None if gold is None else replace(encoded, document=document.with_gold(gold))


def _can_be_head(task: Any) -> bool:
    return getattr(task, "encoder_head", None) is not None


def _overlap(gold: Annotation) -> str | None:
    """Say which spans overlap, as the end of "document ..."."""
    for one, other in pairwise(sorted(gold.spans, key=lambda span: (span.start, span.end))):
        if other.start < one.end:
            shown = " and ".join(f"{span.start}:{span.end} {span.label}" for span in (one, other))
            return f"has overlapping spans: {shown}. Keep one of them, or choose a task for nested spans"
    return None


def _prefixed(name: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {f"{name}_{key}": array for key, array in arrays.items()}
