"""A run is logged to TensorBoard in its own folder, or wherever `report_to` says; scores and settings too."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nlp_inference.errors import InvalidSpecError, MissingExtraError
from nlp_training import RunConfig, train
from nlp_training.config.tracking import describe_trackers
from nlp_training.provenance.manifest import RunManifest
from nlp_training.tracking import choose_trackers, trackers
from nlp_training.tracking.results import flat_settings
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.build import build_processor, build_trainer
from nlp_training.trainer.splits import load_splits

OF_SQLALCHEMY = "ignore:The ``noload`` loader strategy is deprecated"  # MLflow's models, with SQLAlchemy 2.1


def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def short(config: RunConfig, **training: Any) -> RunConfig:
    return config.model_copy(update={"training": {**config.training, "num_train_epochs": 2, **training}})


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def text(log: EventAccumulator, tag: str) -> str:
    return log.Tensors(f"{tag}/text_summary")[-1].tensor_proto.string_val[0].decode()


@pytest.fixture
def one_run(span_run: RunConfig) -> RunConfig:
    config = short(span_run)
    (config.folder / "logs").mkdir(parents=True)
    (config.folder / "logs" / "events.out.tfevents.0.earlier").write_bytes(b"")
    train(config, console=console())
    return config


def test_by_default_a_run_leaves_curves_settings_and_scores_in_its_folder(one_run: RunConfig) -> None:
    logs = one_run.folder / "logs"
    assert not (logs / "events.out.tfevents.0.earlier").exists()
    assert {path.name[:20] for path in logs.iterdir()} == {"events.out.tfevents."}
    assert not list((one_run.folder / "checkpoints").glob("runs*"))
    log = events(logs)
    metrics = json.loads((one_run.folder / "model" / "metrics.json").read_text())
    assert [point.step for point in log.Scalars("eval/f1")] == [6, 12]
    assert [point.step for point in log.Scalars("train/loss")] == [6, 12]
    low, high = metrics["test"]["interval"]["f1"]
    found = [log.Scalars(f"final/test/f1{end}")[0].value for end in ("", "/low", "/high")]
    assert found == pytest.approx([metrics["test"]["f1"], low, high])
    assert "num_train_epochs: 2" in text(log, "config")
    assert f"| test | f1 | {metrics['test']['f1']:.4f} | {low:.4f} to {high:.4f} |" in text(log, "scores")
    plugins = log.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"training.learning_rate" in plugins
    assert b"processor.task" in plugins


def test_a_run_that_goes_on_shows_no_step_twice(span_run: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = short(span_run, logging_strategy="steps", logging_steps=1)
    logged: list[int] = []

    def killed(trainer: DocumentTrainer, *args: Any, **kwargs: Any) -> Any:
        logged.append(trainer.state.global_step)
        if trainer.state.global_step == 9:
            raise KeyboardInterrupt
        return training_step(trainer, *args, **kwargs)

    training_step = DocumentTrainer.training_step
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(DocumentTrainer, "training_step", killed)
        train(config, console=console())
    assert logged == list(range(10))
    train(config, console=console(), resume=True)  # from step 6
    log = events(config.folder / "logs")
    assert [point.step for point in log.Scalars("train/loss")] == list(range(1, 13))
    assert [point.step for point in log.Scalars("eval/f1")] == [6, 12]
    assert log.Scalars("final/test/f1")


def test_a_tracker_that_is_out_of_reach_at_the_end_is_named_and_the_run_has_finished(
    span_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("nlp_training.tracking.tensorboard.log_results", away)
    shown = console()
    train(short(span_run, num_train_epochs=1), console=shown)
    assert (
        "TensorBoard did not record the end of the run: OSError: no route to host; "
        "the run's folder contains all results\n"
    ) in shown.file.getvalue()
    assert RunManifest.load(span_run.folder).status == "finished"


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "spans")
    yield mlflow
    mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.mark.filterwarnings(OF_SQLALCHEMY)
def test_mlflow_on_sqlite_has_settings_curves_scores_tags_and_files(
    span_run: RunConfig, mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [f"LABEL_{number:04}" for number in range(700)]  # more than MLflow takes as one value
    task = {"token-classification": {"labels": ["CITY", "PERSON", *labels]}}
    processor = span_run.processor.model_copy(update={"task": task})
    config = short(span_run, report_to="mlflow").model_copy(update={"processor": processor})
    train(config, console=console())
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("spans").experiment_id])
    assert (run.info.run_name, run.info.status) == ("spans", "FINISHED")
    assert run.data.params["learning_rate"] == "0.02"
    assert run.data.params["data.train.path"] == config.data.train.path
    assert run.data.params["processor.preprocess"] == "['strip_html', 'collapse_whitespace']"
    shortened = run.data.params["processor.task.token-classification.labels"]
    assert (len(shortened), shortened[-1]) == (6000, "…")
    metrics = json.loads((config.folder / "model" / "metrics.json").read_text())
    assert run.data.metrics["final/test/f1"] == metrics["test"]["f1"]
    assert run.data.metrics["final/test/f1/high"] == metrics["test"]["interval"]["f1"][1]
    assert [point.step for point in client.get_metric_history(run.info.run_id, "eval_f1")] == [6, 12]
    assert run.data.tags["model"] == str(config.folder / "model")
    assert "| test | f1 |" in run.data.tags["mlflow.note.content"]
    manifest = RunManifest.load(config.folder)
    tagged = {name: run.data.tags[name] for name in ("processor", "run.id", "nlp-inference.version")}
    assert tagged == {
        "processor": manifest.processor,
        "run.id": manifest.id,
        "nlp-inference.version": manifest.code.version,
    }
    assert run.data.tags.get("mlflow.source.git.commit") == (manifest.project or manifest.code).commit
    assert {"config.yaml", "model", "run.json", "report.html"} <= {
        one.path for one in client.list_artifacts(run.info.run_id)
    }
    kept = {one.path for one in client.list_artifacts(run.info.run_id, "model")}
    assert {"model/metrics.json", "model/README.md", "model/processor_config.json"} <= kept

    def broken(*_: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("nlp_training.runs.run.save_artefact", broken)
    with pytest.raises(RuntimeError, match="the disk is full"):
        train(short(span_run, report_to="mlflow"), console=console(), overwrite=True)
    runs = client.search_runs([client.get_experiment_by_name("spans").experiment_id])
    assert sorted(one.info.status for one in runs) == ["FAILED", "FINISHED"]
    assert mlflow.active_run() is None


def test_a_run_goes_on_without_tensorboard_and_says_so_once(
    span_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlp_training.config.tracking.is_tensorboard_available", lambda: False)
    shown = console()
    train(short(span_run, num_train_epochs=1), console=shown)
    assert shown.file.getvalue().count("tensorboard is not installed") == 1
    assert not (span_run.folder / "logs").exists()


def test_a_trainer_that_only_evaluates_logs_into_the_folder_of_its_run(
    span_run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    splits = load_splits(span_run)
    trainer = build_trainer(span_run, build_processor(span_run, splits["train"]), splits)
    trainer.evaluate()
    trainer.callback_handler.call_event("on_train_end", trainer.args, trainer.state, trainer.control)
    assert [path.name[:20] for path in (span_run.folder / "logs").iterdir()] == ["events.out.tfevents."]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["spans"]


def test_trackers_without_a_place_of_their_own_here_get_the_scores_before_they_end() -> None:
    class Tracker:
        heard: list[Any] = []  # noqa: RUF012 - of one test

        def on_log(self, *_: Any, logs: dict[str, float], model: Any) -> None:
            self.heard.append(logs)

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.heard.append("end")

    class Trainer:
        class callback_handler:  # noqa: N801 - a stand-in
            callbacks = [Tracker()]  # noqa: RUF012

        args = state = control = model = None

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(trackers, "_KINDS", (Tracker,))
    with monkeypatch.context(), trackers.tracked(None, Trainer()) as log_results:
        (kept,) = Trainer.callback_handler.callbacks
        kept.on_train_end(1, 2)
        assert Tracker.heard == []
        log_results({"test": {"f1": 0.5}})
    assert Tracker.heard == [{"test_test/f1": 0.5}, "end"]


@pytest.mark.parametrize(
    ("report_to", "chosen"),
    [
        ("none", []),
        (["none"], []),
        (None, []),
        ("tensorboard", ["tensorboard"]),
        (["mlflow", "tensorboard", "mlflow"], ["mlflow", "tensorboard"]),
    ],
)
def test_trackers_are_chosen_as_in_transformers(report_to: object, chosen: list[str]) -> None:
    assert choose_trackers(report_to) == chosen


def test_a_tracker_that_is_unknown_or_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InvalidSpecError, match=r"training\.report_to names 'tensorbord'; expected none, all, or any of .*wandb"
    ):
        choose_trackers("tensorbord")
    monkeypatch.setattr("nlp_training.config.tracking.get_available_reporting_integrations", list)
    with pytest.raises(
        MissingExtraError, match=r"'mlflow', which is not installed: pip install \"nlp-inference\[mlflow\]"
    ):
        choose_trackers(["tensorboard", "mlflow"])
    with pytest.raises(MissingExtraError, match="'wandb', which is not installed: pip install wandb"):
        choose_trackers("wandb")


def test_what_is_logged_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert describe_trackers(["mlflow"]) == "mlflow"
    assert describe_trackers([]) == "none"
    monkeypatch.setattr("nlp_training.config.tracking.is_tensorboard_available", lambda: False)
    assert describe_trackers([]) == "none: tensorboard is not installed; pip install tensorboard"


def test_settings_are_flat() -> None:
    config = {
        "a": {"b": 1, "c": {"d": "x"}},
        "on": False,
        "list": [],
        "none": None,
        "two": [1, 2],
        "training": {"e": 1},
    }
    assert flat_settings(config, without=["training"]) == {"a.b": 1, "a.c.d": "x", "on": False, "two": "[1, 2]"}
