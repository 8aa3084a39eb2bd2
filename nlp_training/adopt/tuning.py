"""Settings that a checkpoint does not state, chosen by score on documents with gold."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from nlp_inference import Document, Predictor, Processor, Task
from nlp_inference.encoding.windows import WindowSettings
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks import DocumentOutputs, TemperatureTask
from nlp_training.data.splits import SplitSettings
from nlp_training.evaluation import Fitter, compare, evaluate_documents, paired_test, predict_beside_gold, score
from nlp_training.evaluation.fitting import with_task
from nlp_training.gold import document_metric, gold_kind_of

LEAST_DOCUMENTS = 20
"""With fewer documents, settings are chosen and scored on the same ones."""

MOST_TUNED = 1000
"""Settings are chosen on at most this many documents."""

LEAST_GAIN = 0.0005
"""A setting replaces another one if its score is better by more than this."""

_ENCODED: Mapping[str, tuple[Any, ...]] = {"words": ("unicode", "whitespace", "tokenizer")}
"""Fields of tasks that change how a text is encoded, with the values to try."""

_DECODED: Mapping[str, tuple[Any, ...]] = {
    "aggregation": ("first", "mean", "max", "none"),
    "pooling": ("mean", "max", "first"),
    "max_answer_tokens": (15, 30, 60),
    "outside_bias": (-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0),
}
"""Fields of tasks that change how outputs are decoded, with the values to try."""

_OF_WINDOWS = ("pooling",)
"""Fields that matter only if a text has several windows."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting that was tried.

    Attributes:
        setting: its name.
        value: its value.
        score: the score of the documents that settings are chosen on.
        chosen: whether it was kept.
    """

    setting: str
    value: str
    score: float
    chosen: bool = False


@dataclass
class Tuned:
    """The result of choosing settings.

    Attributes:
        processor: with the chosen settings.
        score_name: the score that decided.
        greater_is_better: its direction.
        documents: how many documents settings were chosen on.
        scored: how many documents the scores below are of.
        same_documents: whether both are the same documents, so that the scores are too good.
        trials: the tried settings.
        fitted: the fields that fitters set.
        before: the scores with what was assumed.
        after: the scores with what was chosen.
        paired: the test of the difference; empty if nothing changed.
    """

    processor: Processor
    score_name: str
    greater_is_better: bool
    documents: int
    scored: int
    same_documents: bool
    trials: list[Trial] = field(default_factory=list)
    fitted: list[str] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    paired: dict[str, Any] = field(default_factory=dict)

    @property
    def changes(self) -> dict[str, str]:
        """The chosen settings that differ from what was assumed."""
        return {one.setting: one.value for one in self.trials if one.chosen}


def halves(documents: Sequence[Document], *, seed: int) -> tuple[list[Document], list[Document]]:
    """Return the documents to choose settings on and those to score: two halves, or all of them twice if they are few.

    Example:
        >>> [len(half) for half in halves([Document(raw_text=str(number)) for number in range(40)], seed=0)]
        [20, 20]
    """
    if len(documents) < LEAST_DOCUMENTS:
        return list(documents), list(documents)
    split = split_settings(seed).split(documents)
    return split["train"], split["validation"]


def split_settings(seed: int) -> SplitSettings:
    """Return the settings of the split in two halves, for the configuration that is saved with the model."""
    return SplitSettings(validation=0.5, seed=seed)


def tune(
    predictor: Predictor,
    chosen_on: Sequence[Document],
    scored: Sequence[Document],
    *,
    keep: Sequence[str],
    seed: int,
    without: Processor | None = None,
) -> Tuned:
    """Choose settings of a processor by score, one after the other, and score the result on other documents.

    The model runs once for each way of encoding; settings of decoding are tried on its outputs.

    Args:
        predictor: the adopted model.
        chosen_on: documents with gold to choose on; a sample of them if they are many.
        scored: documents with gold to score.
        keep: fields of the task that the user stated, which are not changed.
        seed: of samples.
        without: the processor without the transforms that the user added, whose score is shown for comparison.
    """
    sample = Random(seed).sample(chosen_on, min(len(chosen_on), MOST_TUNED))  # noqa: S311 - no secret
    search = _Search(predictor, sample, keep=keep, seed=seed)
    if without is not None:
        search.show_effect(without)
    search.run()
    metric = document_metric(predictor.processor.task.needs)
    found = Tuned(
        search.processor,
        metric.best,
        metric.greater_is_better(metric.best),
        documents=len(sample),
        scored=len(scored),
        same_documents=list(scored) == list(chosen_on),
        trials=search.trials,
        fitted=search.fitted,
    )
    found.before = evaluate_documents(predictor, scored)
    after = predictor.with_processor(search.processor)
    found.after = evaluate_documents(after, scored) if found.changes else found.before
    if found.changes:
        needs = predictor.processor.task.needs
        both = [list(compare(predict_beside_gold(one, scored), needs=needs)) for one in (predictor, after)]
        found.paired = paired_test(*both, needs=needs)
    return found


class _Search:
    """A search over settings, one field after the other."""

    def __init__(self, predictor: Predictor, documents: Sequence[Document], *, keep: Sequence[str], seed: int) -> None:
        self._predictor, self._documents, self._keep, self._seed = predictor, documents, keep, seed
        self.processor = predictor.processor
        self.trials: list[Trial] = []
        self.fitted: list[str] = []
        metric = document_metric(predictor.processor.task.needs)
        self._best, self._sign = metric.best, 1 if metric.greater_is_better(metric.best) else -1
        self._outputs: list[DocumentOutputs] = []

    def show_effect(self, without: Processor) -> None:
        """Score the documents without the transforms that the user added, and with them; nothing is chosen."""
        for value, processor in (("without", without), ("as stated", self.processor)):
            self.trials.append(Trial("preprocess", value, self._score(processor, self._run_model(processor))))

    def run(self) -> None:
        """Try all settings, in the order in which they depend on each other."""
        self._outputs = self._run_model(self.processor)
        for name, values in _ENCODED.items():
            self._try_field(name, values)
        self._try_windows()
        for name, values in _DECODED.items():
            if name not in _OF_WINDOWS or any(len(one.rows) > 1 for one in self._outputs):
                self._try_field(name, values)
        self._fit()

    def _run_model(self, processor: Processor) -> list[DocumentOutputs]:
        predictor = self._predictor.with_processor(processor)
        return list(predictor.model_outputs(self._documents))

    def _score(self, processor: Processor, outputs: Sequence[DocumentOutputs]) -> float:
        """Score the decoded outputs; a score that no document has is that of no agreement."""
        task = processor.task
        pairs = (
            (processor.postprocess(document), task.complete_gold(one.encoded.document.gold))
            for one in outputs
            for document in processor.interpret_outputs([one])
            if one.encoded.document.gold is not None
        )
        found = score(compare(pairs, needs=task.needs, details=False), needs=task.needs, details=False)
        return float(found.get(self._best, 0.0))

    def _try_field(self, name: str, values: Sequence[Any]) -> None:
        task: Any = self.processor.task
        if name not in type(task).model_fields or name in self._keep:
            return
        assumed = getattr(task, name)
        order = [assumed, *(value for value in values if value != assumed)]
        candidates = {str(value): with_task(self.processor, _with_field(task, name, value)) for value in order}
        self._choose(name, candidates, encoded=name in _ENCODED)

    def _try_windows(self) -> None:
        """Try shorter windows and more overlap, if a text has several windows."""
        if not any(len(one.rows) > 1 for one in self._outputs):
            return
        longest = self.processor.layout.max_length
        lengths = [longest, *(length for length in (256, 128) if length < longest)]
        self._choose("window", {f"{one} tokens": self._with_windows(max_length=one) for one in lengths}, encoded=True)
        half = self.processor.layout.capacity(0) // 2
        overlaps = {"a quarter, at most 64": self.processor, f"{half} tokens": self._with_windows(overlap=half)}
        self._choose("overlap", overlaps, encoded=True)

    def _with_windows(self, **changes: Any) -> Processor:
        old = self.processor
        windows = WindowSettings.model_validate({**old.windows.model_dump(), **changes})
        return Processor(
            old.tokenizer, old.task, old.preprocess.to_spec(), old.postprocess.to_spec(), windows, old.format_version
        )

    def _choose(self, name: str, candidates: Mapping[str, Processor], *, encoded: bool) -> None:
        """Keep the best candidate; the first one is what was assumed."""
        outputs = {
            value: self._run_model(processor) if encoded and number else self._outputs
            for number, (value, processor) in enumerate(candidates.items())
        }
        scores = {value: self._score(processor, outputs[value]) for value, processor in candidates.items()}
        assumed = next(iter(scores))
        best = max(scores, key=lambda value: self._sign * scores[value])
        gain = self._sign * (scores[best] - scores[assumed])
        chosen = best if gain > LEAST_GAIN else assumed
        self.processor, self._outputs = candidates[chosen], outputs[chosen]
        changed = chosen != assumed
        self.trials += [Trial(name, value, one, changed and value == chosen) for value, one in scores.items()]

    def _fit(self) -> None:
        """Run the fitters of the task, and fit its temperature if it has one."""
        names = [*self.processor.task.fitters]
        if isinstance(self.processor.task, TemperatureTask):
            names.insert(0, "temperature")
        for name in names:
            fitter = Fitter.from_spec(name)
            if set(fitter.fields) & set(self._keep):
                continue
            predictor = self._predictor.with_processor(self.processor)
            before = copy.copy(self.processor.task)
            task = fitter.fit(predictor, self._documents, seed=self._seed)
            self.processor = with_task(self.processor, task)
            shown = ", ".join(_changed_fields(before, task, fitter.fields))
            if shown:
                self.fitted += fitter.fields
                value = self._score(self.processor, self._outputs)
                self.trials.append(Trial(" and ".join(fitter.fields), shown, value, chosen=True))


def _with_field(task: Task, name: str, value: Any) -> Task:
    return type(task).from_value({**task.model_dump(), name: value})


def _changed_fields(before: Any, after: Any, fields: Sequence[str]) -> Iterator[str]:
    """Yield the fitted values of fields that changed."""
    for name in fields:
        value = getattr(after, name)
        if value != getattr(before, name):
            yield f"{len(value)} labels" if isinstance(value, Mapping) else f"{value:.4g}"


def check_same_kind(processor: Processor, documents: Sequence[Document]) -> None:
    """Check that documents have gold of the kind that the task predicts, with at least one label that it knows.

    Raises:
        InvalidSpecError: no label of the gold is known.
    """
    task = processor.task
    known = set(getattr(task, "labels", None) or ())
    kind = gold_kind_of(task)
    found = {label for document in documents if document.gold is not None for label in kind.labels(document.gold)}
    if known and found and not found & known and not processor.postprocess.to_spec():
        raise InvalidSpecError(
            f"the labels of the data are {', '.join(sorted(found)[:8])}, but the model predicts "
            f"{', '.join(sorted(known)[:8])}; rename those of the model with --labels OLD=NEW,…, or give other data"
        )
