"""A trial: a training with drawn values that reports each evaluation to the study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from time import perf_counter
from typing import Any

from optuna import Trial, TrialPruned
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from nlp_training.config import RunConfig
from nlp_training.gold import document_metric, selection_score
from nlp_training.metrics import Metric
from nlp_training.metrics.documents import Score
from nlp_training.runs.materials import Materials, Prepared
from nlp_training.search.errors import DivergedError
from nlp_training.trainer.early_stopping import stop_early

_UNSAVED: dict[str, Any] = {
    "save_strategy": "no",
    "load_best_model_at_end": False,
    "logging_nan_inf_filter": False,  # otherwise a loss that is not finite would be hidden
    "report_to": "none",
}


@dataclass
class Watch(TrainerCallback):
    """A callback that reports the scores of a training to the study, and stops pruned or diverged trainings.

    Args:
        trial: the trial, which receives every score.
        metric: the name of the score, without `eval_`.
        greater_is_better: the direction of the score.
        interval: the interval of the best evaluation, if it has one.
        scores: the scores of the evaluations so far.

    Raises:
        TrialPruned: the study prunes the trial; raised out of the training.
        DivergedError: the loss is not finite.
    """

    trial: Trial
    metric: str
    greater_is_better: bool = True
    interval: list[float] | None = None
    scores: list[float] = field(default_factory=list)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Check that the loss is finite."""
        loss = (logs or {}).get("loss", 0.0)
        if not isfinite(loss):
            raise DivergedError(f"the loss is {loss} after {state.global_step} steps; try a smaller learning rate")

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Report the score."""
        self.take({name.removeprefix("eval_"): value for name, value in (metrics or {}).items()})
        self.trial.report(self.scores[-1], len(self.scores))
        if self.trial.should_prune():
            raise TrialPruned(f"{self.metric} {self.scores[-1]:.4f}")

    @property
    def best(self) -> float:
        """The best score so far."""
        return max(self.scores) if self.greater_is_better else min(self.scores)

    def take(self, scores: Mapping[str, Any]) -> None:
        """Store the score of an evaluation."""
        score = float(scores[self.metric])
        known = self.best if self.scores else None
        self.scores.append(score)
        if self.best != known:
            self.interval = scores.get("interval", {}).get(self.metric)


def chosen_score(prepared: Prepared) -> Score:
    """Return the score that selects the weights of a run, with its direction."""
    custom = [Metric.from_spec(spec) for spec in prepared.config.metrics]
    metric = document_metric(prepared.processor.task.needs, custom)
    chosen = prepared.config.training.get("metric_for_best_model")
    name = str(chosen or selection_score(prepared.processor.task)).removeprefix("eval_")
    return Score(name, metric.greater_is_better(name))


def run_trial(
    materials: Materials, config: RunConfig, trial: Trial, *, callbacks: Sequence[TrainerCallback] = ()
) -> float:
    """Train a trial and return its score on the validation documents.

    Nothing is saved because training the best values again results in the same weights.

    Args:
        materials: the documents.
        config: the configuration of the trial.
        trial: the trial, which receives every evaluation, and finally the seconds, evaluations and interval.
        callbacks: additional callbacks.

    Returns:
        The score of the weights that a run would keep: those of the best evaluation, or the last ones.

    Raises:
        TrialPruned: the study prunes the trial.
        DivergedError: the loss is not finite.
        NlpInferenceError: the values are inconsistent.
        RuntimeError: out of memory, or another error of PyTorch.
    """
    prepared = materials.prepare(config)
    training = prepared.config.training
    keeps_best = training["load_best_model_at_end"]
    score = chosen_score(prepared)
    watch = Watch(trial, score.name, score.greater_is_better)
    stopping = [stop_early(prepared.config.early_stopping)] if prepared.config.early_stopping else []
    unsaved = replace(prepared, config=prepared.config.model_copy(update={"early_stopping": None}))
    started = perf_counter()
    try:
        trainer = materials.trainer(unsaved, training=_UNSAVED, callbacks=[watch, *stopping, *callbacks])
        trainer.train()
        if not watch.scores or not keeps_best:
            watch.take(trainer.score_documents(materials.validation or []))
    finally:
        trial.set_user_attr("seconds", perf_counter() - started)
        trial.set_user_attr("evaluations", len(watch.scores))
        trial.set_user_attr("interval", watch.interval)
    return watch.best if keeps_best else watch.scores[-1]
