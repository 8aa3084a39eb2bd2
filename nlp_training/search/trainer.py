"""Transformers' own search, with a configuration, and so a trainer, for each trial."""

import torch
from optuna import Trial, TrialPruned
from transformers import Trainer, TrainingArguments

from nlp_inference._utils.shorten import shorten
from nlp_inference.errors import NlpInferenceError
from nlp_training.config import RunConfig
from nlp_training.runs.materials import Materials
from nlp_training.search.counting import ERROR
from nlp_training.search.errors import FailedTrialError, SearchError
from nlp_training.search.progress import TrialProgress
from nlp_training.search.space import values_of, with_values
from nlp_training.search.study import SharedStudy
from nlp_training.search.trial import run_trial

FAILS = (NlpInferenceError, RuntimeError, MemoryError, ArithmeticError)
"""What a trial may fail of while the search goes on: values that do not fit together, memory, numbers."""

_HOPELESS = 3


class SearchTrainer(Trainer):
    """A Trainer for `hyperparameter_search`, which asks the study for trials, and has each trained.

    A Trainer sets fields of its TrainingArguments to what a trial draws, and has one model, loss and data set. This one
    has none itself. It makes for each trial the trainer that a run with these values would have, so any key of a
    configuration can be searched, and what follows from it is derived again.

    Args:
        config: the run, with a section `search`.
        study: where the trials are.
        materials: the documents.
        progress: is shown every step, and how each trial ended.
        metric: the score that is shown.
    """

    objective: float | None

    def __init__(
        self, config: RunConfig, study: SharedStudy, *, materials: Materials, progress: TrialProgress, metric: str
    ) -> None:
        on_cpu = bool(config.training.get("use_cpu", False))
        args = TrainingArguments(output_dir=str(config.folder), seed=config.seed, report_to="none", use_cpu=on_cpu)
        super().__init__(args=args, model_init=_no_model)  # type: ignore[arg-type]
        self.config = config
        self.study = study
        self.materials = materials
        self.progress = progress
        self.metric = metric

    def train(  # type: ignore[override]  # a search asks for the objective only
        self,
        resume_from_checkpoint: str | bool | None = None,  # noqa: FBT001 - the Trainer's signature
        trial: Trial | None = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> None:
        """Train what a trial is, and keep its score as `objective`.

        Args:
            resume_from_checkpoint: not used.
            trial: has its values drawn.
            ignore_keys_for_eval: not used.

        Raises:
            FailedTrialError: the trial failed, which it is told of, or is not wanted.
            TrialPruned: it did badly.
            SearchError: all trials so far failed.
        """
        if trial is None:
            raise SearchError("a SearchTrainer trains the trials of hyperparameter_search, and nothing else")
        if not self.study.wants(trial):
            trial.study.stop()
            raise FailedTrialError(f"trial {trial.number} is not wanted; other processes began the last of them")
        self.is_in_train = True
        try:
            config = with_values(self.config, self.hp_space(trial))
            score = run_trial(self.materials, config, trial, callbacks=[self.progress])
        except TrialPruned as pruned:
            self._end(trial, f"pruned at {pruned}")
            raise
        except FAILS as error:
            self._fail(trial, f"{type(error).__name__}: {error}")
            raise FailedTrialError(f"trial {trial.number} failed") from error
        except (Exception, KeyboardInterrupt):  # the search ends as if it were killed: the trial has to be repeated
            trial.study.enqueue_trial(trial.params)
            raise
        self.objective = score
        self._end(trial, f"{self.metric} {score:.4f}")

    def _fail(self, trial: Trial, why: str) -> None:
        trial.set_user_attr(ERROR, shorten(why, width=1000))
        self._end(trial, f"failed: {trial.user_attrs[ERROR]}")
        failed = len(self.study.ended()) + 1
        if failed >= _HOPELESS and all(ERROR in other.user_attrs for other in self.study.ended()):
            raise SearchError(f"all of the first {failed} trials failed, the last one of {trial.user_attrs[ERROR]}")

    def _end(self, trial: Trial, how: str) -> None:
        self.is_in_train = False
        self.progress.end(trial.number, values_of(trial, self.study.settings.space), how=how)


def _no_model() -> torch.nn.Module:
    """What a Trainer takes for a model, of no weight: each trial makes its own."""
    return torch.nn.Module()
