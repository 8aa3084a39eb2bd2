"""Settings that a checkpoint does not state, chosen by score on documents with gold."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from nlp_inference import Document, Predictor, Processor
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks import DocumentOutputs, TemperatureTask
from nlp_training.adopt.steps import STEPS, Candidate, candidates, step_axes
from nlp_training.data.splits import SplitSettings
from nlp_training.evaluation import Fitter, compare, evaluate_documents, paired_test, predict_beside_gold, score
from nlp_training.evaluation.fitting import with_task
from nlp_training.gold import document_metric, gold_kind_of

LEAST_DOCUMENTS = 20
"""With fewer documents, settings are chosen and scored on the same ones, and the result states it."""

MOST_TUNED = 1000
"""Settings are chosen on at most this many documents."""

LEAST_GAIN = 0.0005
"""A setting replaces another one if its score is better by more than this."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A combination of values that was tried.

    Attributes:
        values: the value of each setting of a step.
        score: the score of the documents that settings are chosen on.
        chosen: whether it was kept and differs from what was assumed.
        assumed: whether it is what was assumed.
    """

    values: Mapping[str, str]
    score: float
    chosen: bool = False
    assumed: bool = False

    @property
    def step(self) -> str:
        """The names of the settings."""
        return " × ".join(self.values)


@dataclass(frozen=True, slots=True)
class Step:
    """The trials of a step, as a table: a row for each combination of all settings but the last one.

    Attributes:
        name: the names of the settings.
        trials: the trials, of which the first one is what was assumed.
    """

    name: str
    trials: list[Trial]

    @property
    def settings(self) -> list[str]:
        """The names of the settings that the rows combine; the only one, if there is one."""
        names = [*self.trials[0].values]
        return names[:-1] or names

    @property
    def columns(self) -> list[str]:
        """The values of the last setting; empty if there is one setting, whose values are rows."""
        names = [*self.trials[0].values]
        return [] if len(names) == 1 else list(dict.fromkeys(one.values[names[-1]] for one in self.trials))

    @property
    def rows(self) -> list[tuple[tuple[str, ...], list[Trial]]]:
        """The values of each row, and its trials in the order of the columns."""
        found: dict[tuple[str, ...], list[Trial]] = {}
        for one in self.trials:
            found.setdefault(tuple(one.values[name] for name in self.settings), []).append(one)
        order = self.columns
        last = [*self.trials[0].values][-1]
        return [
            (values, sorted(trials, key=lambda one: order.index(one.values[last]) if order else 0))
            for values, trials in found.items()
        ]

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the greatest score."""
        scores = [one.score for one in self.trials]
        return min(scores), max(scores)


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
        assumed = {name: value for one in self.trials if one.assumed for name, value in one.values.items()}
        return {
            name: value
            for one in self.trials
            if one.chosen
            for name, value in one.values.items()
            if value != assumed.get(name)
        }

    @property
    def steps(self) -> list["Step"]:
        """The trials of each step."""
        names = dict.fromkeys(one.step for one in self.trials)
        return [Step(name, [one for one in self.trials if one.step == name]) for name in names]


def halves(documents: Sequence[Document], *, seed: int) -> tuple[list[Document], list[Document]]:
    """Return the documents to choose settings on and those to score: two halves, or all of them twice if they are few.

    Documents with the same text are in the same half.

    Example:
        >>> [len(half) for half in halves([Document(raw_text=str(number)) for number in range(40)], seed=0)]
        [20, 20]
    """
    if len(documents) < LEAST_DOCUMENTS or len({one.raw_text for one in documents}) == 1:
        return list(documents), list(documents)
    split = split_settings(seed).split(documents)
    return split["train"], split["validation"]


def split_settings(seed: int) -> SplitSettings:
    """Return the settings of the split in two halves, for the configuration that is saved with the model."""
    return SplitSettings(validation=0.5, seed=seed, group_by="text")


def tune(
    predictor: Predictor,
    chosen_on: Sequence[Document],
    scored: Sequence[Document],
    *,
    keep: Sequence[str],
    seed: int,
    without: Processor | None = None,
) -> Tuned:
    """Choose settings of a processor by score, and score the result on other documents.

    Settings that influence each other are tried in all combinations. The model runs once for each way of encoding;
    settings of decoding are tried on its outputs.

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
    """A search over settings, one step after the other."""

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
            self.trials.append(Trial({"preprocess": value}, self._score(processor, self._run_model(processor))))

    def run(self) -> None:
        """Try all settings, in the order in which they depend on each other."""
        self._outputs = self._run_model(self.processor)
        for names in STEPS:
            has_windows = any(len(one.rows) > 1 for one in self._outputs)
            axes = list(step_axes(names, self.processor, keep=self._keep, has_windows=has_windows))
            if axes:
                self._choose(list(candidates(axes, self.processor)))
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

    def _choose(self, tried: Sequence[Candidate]) -> None:
        """Keep the best candidate of a step; of those that are equally good, the one with the smallest changes."""
        scores: list[float] = []
        outputs, reading = self._outputs, tried[0].reading
        for one in tried:
            if one.reading != reading:
                outputs, reading = self._run_model(one.processor), one.reading
            scores.append(self._score(one.processor, outputs))
        best = max(self._sign * value for value in scores)
        as_good = [index for index, value in enumerate(scores) if best - self._sign * value <= LEAST_GAIN]
        chosen = min(as_good, key=lambda index: (tried[index].changes, -self._sign * scores[index]))
        self.trials += [
            Trial(one.values, scores[index], chosen=index == chosen > 0, assumed=index == 0)
            for index, one in enumerate(tried)
        ]
        if tried[chosen].reading != tried[0].reading:
            self._outputs = self._run_model(tried[chosen].processor)
        self.processor = tried[chosen].processor

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
            unfitted, before = self.processor, copy.copy(self.processor.task)
            task = fitter.fit(predictor, self._documents, seed=self._seed)
            self.processor = with_task(self.processor, task)
            shown = ", ".join(_changed_fields(before, task, fitter.fields))
            if shown:
                self.fitted += fitter.fields
                step = " and ".join(fitter.fields)
                self.trials.append(Trial({step: "as assumed"}, self._score(unfitted, self._outputs), assumed=True))
                self.trials.append(Trial({step: shown}, self._score(self.processor, self._outputs), chosen=True))


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
