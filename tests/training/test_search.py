"""A search: what it tries, what it keeps, and that it goes on where it was killed."""

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
import yaml
from optuna.trial import TrialState
from rich.console import Console
from transformers import Trainer
from typer.testing import CliRunner

from nlp_inference.errors import InvalidSpecError, OutputError
from nlp_training import RunConfig, load_config, train
from nlp_training.cli import app
from nlp_training.config import save_config
from nlp_training.search.counting import counted_trials
from nlp_training.search.errors import SearchError
from nlp_training.search.run import SearchResult, search
from nlp_training.search.study import open_study
from nlp_training.search.trainer import SearchTrainer
from nlp_training.search.trial import Watch
from nlp_training.trainer.build import build_model

ROOT = Path(__file__).parents[2]
RATES = {"training.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}}

KILLED = """
import os, signal, sys
from nlp_training import load_config
from nlp_training.search import trial
from nlp_training.search.run import search

report = trial.Watch.on_evaluate
def report_or_die(self, *args, **kwargs):
    if self.trial.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    report(self, *args, **kwargs)
trial.Watch.on_evaluate = report_or_die
search(load_config(sys.argv[1]))
"""

Searched = Callable[..., RunConfig]


@pytest.fixture(autouse=True, scope="module")
def libraries_are_no_garbage() -> Iterator[None]:
    """Each training collects garbage; looking through all imported libraries takes longer than a tiny training."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def searched(span_run: RunConfig) -> Searched:
    """The run with a section `search`, one epoch a trial, and test sets that are not there."""

    def made(epochs: int = 1, **settings: Any) -> RunConfig:
        content = span_run.model_dump(exclude_none=True)
        content["training"] |= {"num_train_epochs": epochs, "per_device_train_batch_size": 16}
        content["data"]["test"] = {"test": "not/there.jsonl"}
        content["search"] = {"trials": 3, "space": RATES, "pruner": "none", **settings}
        return RunConfig.model_validate(content)

    return made


def quietly(config: RunConfig) -> SearchResult:
    return search(config, console=Console(file=StringIO(), width=100))


def tried(found: SearchResult) -> list[tuple[Any, ...]]:
    """Values and score of each trial in the order in which they were tried."""
    records = sorted(found.trials, key=lambda one: one["number"])
    return [(one["values"], one["state"], one.get("score")) for one in records]


def test_the_best_configuration_trains_to_the_score_of_its_trial(
    searched: Searched, span_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = "nlp_training.trainer.splits.load_documents"
    from nlp_training.trainer.splits import load_documents

    def remember(source: Any, **options: Any) -> Any:
        loaded.append(Path(source.path).name)
        return load_documents(source, **options)

    monkeypatch.setattr(load, remember)
    found = quietly(searched(epochs=2, trials=2))
    assert loaded == ["train.jsonl", "validation.jsonl"]  # once for all trials, and no test set
    assert found.metric == "f1"
    assert [one["state"] for one in found.trials] == ["complete", "complete"]
    assert found.trials[0]["score"] >= found.trials[1]["score"]
    assert found.config == span_run.folder / "best.yaml"
    best = load_config(found.config)
    assert best.search is None
    assert best.training["learning_rate"] == found.trials[0]["values"]["training.learning_rate"]
    assert not {"save_strategy", "report_to"} & set(best.training)
    again = train(best.model_copy(update={"data": span_run.data}), console=Console(file=StringIO()))
    assert again.metrics["validation"]["f1"] == found.trials[0]["score"]
    assert again.metrics["validation"]["interval"]["f1"] == found.trials[0]["interval"]


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(searched: Searched, tmp_path: Path) -> None:
    whole = quietly(searched(startup_trials=1))
    killed = searched(startup_trials=1).model_copy(update={"output_dir": str(tmp_path / "killed")})
    save_config(killed, tmp_path / "killed.yaml")
    (tmp_path / "script.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "killed.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    died = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    study = optuna.load_study(study_name="spans", storage=f"sqlite:///{killed.folder / 'search.db'}")
    states = [trial.state for trial in study.get_trials()]
    assert states == [TrialState.COMPLETE, TrialState.RUNNING]
    resumed = quietly(killed)
    assert tried(resumed) == tried(whole)
    assert sorted(one["number"] for one in resumed.trials) == [0, 2, 3]  # without the one that was killed
    assert quietly(killed).trials == resumed.trials  # it is done: nothing more is tried


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt,
        pytest.param(KeyError("a mistake of the program"), marks=pytest.mark.slow),
        pytest.param(ValueError("another"), marks=pytest.mark.slow),
    ],
)
def test_a_search_that_was_interrupted_goes_on_as_if_it_had_not_been(
    searched: Searched, tmp_path: Path, error: type[BaseException] | Exception
) -> None:
    interrupted = searched(startup_trials=1).model_copy(update={"output_dir": str(tmp_path / "interrupted")})
    take = Watch.take

    def interrupt(self: Watch, scores: Any) -> None:
        if self.trial.number in {0, 2}:
            raise error
        take(self, scores)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watch, "take", interrupt)
        for _ in range(2):
            with pytest.raises(type(error) if isinstance(error, Exception) else error):
                quietly(interrupted)
    resumed = quietly(interrupted)
    assert tried(resumed) == tried(quietly(searched(startup_trials=1)))
    assert sorted(one["number"] for one in resumed.trials) == [1, 3, 4]


def test_the_search_is_that_of_transformers(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[tuple[Trainer, str | int, float | None]] = []
    hyperparameter_search = Trainer.hyperparameter_search

    def remember(self: Trainer, *args: Any, **options: Any) -> Any:
        best = hyperparameter_search(self, *args, **options)
        searches.append((self, best.run_id, best.objective))
        return best

    monkeypatch.setattr(Trainer, "hyperparameter_search", remember)
    best = quietly(searched(trials=2)).trials[0]
    [(trainer, number, score)] = searches
    assert (number, score) == (str(best["number"]), best["score"])
    assert isinstance(trainer, SearchTrainer)


def test_more_trials_go_on_with_the_same_study_but_another_configuration_does_not(searched: Searched) -> None:
    first = quietly(searched(trials=1))
    second = quietly(searched(trials=2))
    assert tried(second)[:1] == tried(first)
    assert len(second.trials) == 2
    with pytest.raises(SearchError, match="started with another configuration: search, training changed"):
        quietly(searched(epochs=2, trials=3, startup_trials=1))


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(
    searched: Searched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("optuna"), "propagate", True)
    take = Watch.take

    def out_of_memory(self: Watch, scores: Any) -> None:
        if self.trial.number == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        take(self, scores)

    monkeypatch.setattr(Watch, "take", out_of_memory)
    found = quietly(searched(trials=4, space={"training.learning_rate": {"choices": [1e30, 0.02]}}))
    records = sorted(found.trials, key=lambda one: one["number"])
    assert [one["values"]["training.learning_rate"] for one in records] == [0.02, 0.02, 1e30, 1e30]
    assert [one["state"] for one in records] == ["complete", "fail", "fail", "fail"]
    diverged = "DivergedError: the loss is nan after 3 steps; try a smaller learning rate"
    assert [one["error"] for one in records[1:]] == ["OutOfMemoryError: CUDA out of memory", diverged, diverged]
    assert not [record for record in caplog.records if record.name.startswith("optuna")]  # the table says it


def test_the_model_of_a_trial_is_gone_before_the_next_one_is_made(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[weakref.ref[torch.nn.Module]] = []
    left: list[int] = []

    def remember(*args: Any) -> Any:
        left.append(sum(model() is not None for model in models))
        model = build_model(*args)
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr("nlp_training.trainer.build.build_model", remember)
    space = {"training.learning_rate": {"choices": [1e-9, 0.02, 1e30]}}
    settings = {"trials": 6, "startup_trials": 1, "pruner": "median", "warmup_evaluations": 0}
    found = quietly(searched(space=space, **settings))
    assert {one["state"] for one in found.trials} == {"complete", "pruned", "fail"}
    assert left == [0] * 6


def test_a_search_in_which_everything_fails_ends_soon(searched: Searched) -> None:
    with pytest.raises(
        SearchError, match="all of the first 3 trials failed, the last one with DivergedError: the loss"
    ):
        quietly(searched(trials=10, space={"training.learning_rate": {"choices": [1e30]}}))


def test_trials_that_do_badly_are_pruned(searched: Searched) -> None:
    space = {"training.learning_rate": {"choices": [1e-9, 0.02]}}
    settings = {"trials": 3, "startup_trials": 2, "pruner": "median", "warmup_evaluations": 0}
    found = quietly(searched(epochs=2, space=space, **settings))
    tried_rates = [(one["values"]["training.learning_rate"], one["state"], one["evaluations"]) for one in found.trials]
    assert tried_rates == [(0.02, "complete", 2), (0.02, "complete", 2), (1e-9, "pruned", 1)]


@pytest.mark.parametrize(
    ("pruner", "scores", "seen"),
    [("median", [0.1], 1), ("asha", [0.1], 1), ("none", [0.1, 0.2], 2)],
)
def test_each_pruner_is_asked_at_each_evaluation(
    searched: Searched, pruner: str, scores: list[float], seen: int
) -> None:
    config = searched(pruner=pruner, startup_trials=1, warmup_evaluations=0)
    with open_study(config) as study:
        for _ in range(3):
            good = study.study.ask()
            watch = Watch(good, "f1")
            for score in (0.8, 0.9):
                watch.on_evaluate(None, None, None, metrics={"eval_f1": score, "eval_interval": {"f1": [0.7, 1.0]}})
            assert watch.interval == [0.7, 1.0]
            study.study.tell(good, 0.9)
        watch = Watch(study.study.ask(), "f1")
        try:
            for score in (0.1, 0.2):
                watch.on_evaluate(None, None, None, metrics={"eval_f1": score})
            assert pruner == "none"
        except optuna.TrialPruned:
            assert pruner != "none"
        assert watch.scores == scores
        assert len(study.study.get_trials()[-1].intermediate_values) == seen


def test_two_processes_share_a_study_and_leave_each_others_trials_alone(searched: Searched) -> None:
    with open_study(searched()) as first:
        one = first.study.ask()
        with open_study(searched()) as second:
            two = second.study.ask()
            assert [trial.state for trial in counted_trials(second.study)] == [TrialState.RUNNING] * 2
            assert (one.number, two.number) == (0, 1)
            second.study.tell(two, 0.5)
            three = second.study.ask()
            assert three.number == 2
            assert (first.lacking(), second.lacking()) == (0, 0)  # three are wanted
            assert [second.wants(one), first.wants(two), first.wants(three)] == [True] * 3
            assert not first.wants(first.study.ask())
            first.study.tell(3, state=TrialState.FAIL)  # as the search does with it
    with open_study(searched()) as alone:  # and knows that trials 0 and 2 run no more
        states = [trial.state for trial in counted_trials(alone.study)]
        assert states == [TrialState.COMPLETE, TrialState.WAITING, TrialState.WAITING]
        assert alone.lacking() == 2


def test_a_process_ends_when_others_began_the_last_trials(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first trial of a process runs, another process tries all the others."""
    take, found = Watch.take, []

    def first_let_the_other_search(self: Watch, scores: Any) -> None:
        if self.trial.number == 0 and not found:
            found.append(None)
            found[0] = quietly(searched())
        take(self, scores)

    monkeypatch.setattr(Watch, "take", first_let_the_other_search)
    assert [state for _, state, _ in tried(quietly(searched()))] == ["complete"] * 3
    assert [state for _, state, _ in tried(found[0])] == ["complete"] * 2
    with open_study(searched()) as study:
        states = [trial.state for trial in study.study.get_trials()]
        assert states == [TrialState.COMPLETE] * 3 + [TrialState.FAIL]  # which was not wanted, and draws nothing
        assert not study.study.get_trials()[3].params


def test_the_values_of_a_trial_depend_on_the_seed_alone(searched: Searched, tmp_path: Path) -> None:
    def rates(seed: int, folder: str) -> list[float]:
        config = searched().model_copy(update={"seed": seed, "output_dir": str(tmp_path / folder)})
        with open_study(config) as study:
            return [study.study.ask().suggest_float("rate", 0, 1) for _ in range(3)]

    assert rates(1, "a") == rates(1, "b") != rates(2, "c")
    assert len(set(rates(3, "d"))) == 3


@pytest.mark.parametrize(
    ("update", "said"),
    [({"search": None}, "has no section search"), ({"data": {"train": "train.jsonl"}}, "has no data.validation")],
)
def test_what_a_search_needs(searched: Searched, update: dict[str, Any], said: str) -> None:
    config = RunConfig.model_validate({**searched().model_dump(exclude_none=True), **update})
    with pytest.raises(InvalidSpecError, match=said):
        quietly(config)


def test_no_time_is_not_enough(searched: Searched) -> None:
    with pytest.raises(SearchError, match="the timeout was too short"):
        quietly(searched(timeout=1e-9))


def test_the_command_trains_the_best_values_and_says_everything_as_json(
    searched: Searched, span_run: RunConfig, tmp_path: Path
) -> None:
    save_config(searched(trials=1, train_best=True).model_copy(update={"data": span_run.data}), tmp_path / "run.yaml")
    done = CliRunner().invoke(app, ["search", str(tmp_path / "run.yaml"), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["metric"] == "f1"
    assert said["config"] == str(span_run.folder / "best.yaml")
    assert [one["number"] for one in said["trials"]] == [0]
    assert set(said["trained"]["metrics"]) == {"validation", "test"}
    assert (span_run.folder / "model" / "model.safetensors").is_file()
    assert yaml.safe_load((span_run.folder / "best.yaml").read_text())["name"] == "spans"
    again = CliRunner().invoke(app, ["search", str(tmp_path / "run.yaml"), "--json"])
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["trained"]["metrics"] == said["trained"]["metrics"]


def test_a_search_does_not_replace_the_model_of_another_run(searched: Searched, span_run: RunConfig) -> None:
    (span_run.folder / "model").mkdir(parents=True)
    (span_run.folder / "model" / "model.safetensors").write_text("weights")
    with pytest.raises(OutputError, match="already contains a model"):
        quietly(searched(trials=1, train_best=True))
    assert [path.name for path in span_run.folder.iterdir()] == ["model"]
