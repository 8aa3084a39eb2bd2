"""A run that is killed at any moment and resumed ends with what it would have ended with, bit for bit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import nlp_training
from nlp_training import RunConfig
from nlp_training.cli import app
from nlp_training.config import save_config
from nlp_training.provenance.manifest import RunManifest

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("killed_runs.py")
KILLED = -9
TIMES = ("runtime", "per_second")
OF_THE_START = {"run.json", "config.yaml", "training.yaml", "environment.txt", "code.diff", "training_args.bin"}
WITH_TIMES = {"report.html", "whole.json"}


def perform(folder: Path, attempts: list[dict[str, Any]], *, hash_seed: str = "0", processes: int = 1) -> list[int]:
    """How each attempt ended; with several processes there is one, and what counts is only whether it ended well."""
    plan = folder / "plan.json"
    plan.write_text(json.dumps(attempts))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": hash_seed}
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"] if processes > 1 else []
    command = [sys.executable, *launch, str(DRIVER), str(plan)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if processes > 1:
        return [done.returncode]
    assert done.returncode == 0, done.stderr
    ends: list[int] = json.loads(done.stdout)
    assert set(ends) <= {0, KILLED}, done.stderr
    return ends


def attempt(run: RunConfig, folder: Path, name: str, **changes: Any) -> dict[str, Any]:
    """The same run in a folder of its own."""
    content = run.model_dump(mode="json", exclude_none=True)
    content = {**content, **changes, "output_dir": str(folder / name)}
    content["training"] = run.training | changes.get("training", {})
    content["model"]["settings"] = {"hidden_dropout_prob": 0.1}
    save_config(RunConfig.model_validate(content), folder / f"{name}.yaml")
    return {"config": str(folder / f"{name}.yaml")}


def kills(start: dict[str, Any], places: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """The attempts of a run that is killed in these places, one after the other, and then resumed to its end."""
    resumed = [{**start, "resume": True, "kill_at": place} for place in places[1:]]
    return [{**start, "kill_at": places[0]}, *resumed, {**start, "resume": True}]


def without_times(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if not key.endswith(TIMES)} for one in log]


def left_by(folder: Path) -> dict[str, Any]:
    """Everything that a run left, as bytes, but for times and places."""
    left: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and "logs" not in path.parts):
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        if path.name == "training_log.json":
            left[name] = without_times(json.loads(content))
        elif path.name == "trainer_state.json":
            state = json.loads(content)
            best = Path(state["best_model_checkpoint"] or "").name
            left[name] = {
                **state,
                "log_history": without_times(state["log_history"]),
                "best_model_checkpoint": best,
            }
        elif path.name.startswith("progress_"):
            left[name] = json.loads(content) | {"seconds": None}
        elif path.name not in OF_THE_START | WITH_TIMES and path.suffix != ".seconds":
            left[name] = content
    return left


def assert_same(one: Path, other: Path) -> None:
    first, second = left_by(one), left_by(other)
    assert list(first) == list(second)
    assert [name for name in first if first[name] != second[name]] == []
    assert {"model/model.safetensors", "model/metrics.json", "model/golden.json"} <= set(first)
    assert any(name.endswith("optimizer.pt") for name in first)


_STEPS = Random(42)  # noqa: S311 - which steps
PHASES = [
    ("step", _STEPS.randint(1, 4)),  # there is no checkpoint to resume from
    ("weights", 1),  # half of the weights of the first checkpoint
    ("step", _STEPS.randint(5, 8)),
    ("torch.save", 1),  # half of an optimizer
    ("mark", 2),  # a checkpoint that is complete and not marked as such
    ("step", _STEPS.randint(5, 8)),  # after the end of an epoch
    ("rotate", 2),  # one checkpoint too many
    ("remove", 2),  # half of an old checkpoint
    ("finalize", 1),
    ("calibrate", 1),
    ("artefact", 1),
]


@pytest.mark.parametrize(
    ("phases", "resumed"),
    [
        (PHASES[4::6], [4, 24]),
        pytest.param(PHASES, [0, 0, 4, 4, 8, 12, 20, 24, 24, 24, 24], marks=pytest.mark.slow),
    ],
    ids=["some", "all"],
)
def test_killed_in_every_phase(
    phases: list[tuple[str, int]], resumed: list[int], span_run: RunConfig, tmp_path: Path
) -> None:
    """Twelve steps an epoch, two epochs; every fourth step evaluates and saves, the twelfth ends an epoch, too."""
    training = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "save_total_limit": 1, "eval_steps": 4}
    changes = {
        "calibrate": True,
        "augment": ["keyboard_typos", "change_case"],
        "golden": {"records": 2},
        "training": {**training, "eval_strategy": "steps", "learning_rate": 0.004},
    }
    whole, again, killed = (attempt(span_run, tmp_path, name, **changes) for name in ("whole", "again", "killed"))
    attempts = [whole, *kills(killed, phases)]
    assert perform(tmp_path, attempts) == [0, *[KILLED] * len(phases), 0]
    assert perform(tmp_path, [again], hash_seed="1") == [0]
    runs = {name: tmp_path / name / span_run.name for name in ("whole", "again", "killed")}
    assert_same(runs["whole"], runs["again"])
    assert_same(runs["whole"], runs["killed"])
    manifest = RunManifest.load(runs["killed"])
    assert manifest.status == "finished"
    assert [one.step for one in manifest.resumed] == resumed
    for field in ("weights", "processor", "metrics", "initial_weights", "data"):
        assert getattr(RunManifest.load(runs["whole"]), field) == getattr(manifest, field)


MIDST = {
    "save_strategy": "steps",
    "save_steps": 3,
    "max_steps": 8,
    "gradient_accumulation_steps": 2,
    "full_determinism": True,
}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["random", "group_by_length"])
def test_killed_in_the_midst_of_an_epoch_of_accumulated_batches(
    label_run: RunConfig, tmp_path: Path, strategy: str
) -> None:
    """Six steps an epoch; training ends in the midst of the second, and what is logged there is logged once."""
    training = {**MIDST, "per_device_train_batch_size": 4, "train_sampling_strategy": strategy}
    changes = {"training": training, "loss": {"focal": 2}, "golden": {"records": 0}}
    whole, killed = (attempt(label_run, tmp_path, name, **changes) for name in ("whole", "killed"))
    attempts = [whole, *kills(killed, [("step", 9), ("step", 8)])]
    assert perform(tmp_path, attempts) == [0, KILLED, KILLED, 0]
    runs = [tmp_path / name / label_run.name for name in ("whole", "killed")]
    assert_same(*runs)
    assert [one.step for one in RunManifest.load(runs[1]).resumed] == [3, 6]


@pytest.mark.parametrize(
    ("words", "resume", "overwrite"),
    [([], False, False), (["--resume"], True, False), (["--overwrite"], False, True)],
)
def test_the_command_resumes_or_overwrites(
    monkeypatch: pytest.MonkeyPatch, words: list[str], resume: bool, overwrite: bool
) -> None:
    asked: list[tuple[bool, bool]] = []

    def trained(_: RunConfig, *, console: Console, resume: bool, overwrite: bool) -> SimpleNamespace:
        asked.append((resume, overwrite))
        return SimpleNamespace(verification=None)

    monkeypatch.setattr(nlp_training, "train", trained)
    assert CliRunner().invoke(app, ["train", str(ROOT / "configs" / "quickstart.yaml"), *words]).exit_code == 0
    assert asked == [(resume, overwrite)]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_many_random_steps(span_run: RunConfig, tmp_path: Path, workers: int, seed: int) -> None:
    training = {"num_train_epochs": 4, "per_device_train_batch_size": 2, "eval_strategy": "steps", "eval_steps": 5}
    changes = {
        "augment": ["keyboard_typos", "drop_words", "join_documents"],
        "sampling": {"balance": "label"},
        "early_stopping": {"patience": 6},
        "loss": "r_drop",
        "training": {**training, "dataloader_num_workers": workers, "logging_strategy": "steps", "logging_steps": 7},
    }
    whole, killed = (attempt(span_run, tmp_path, name, **changes) for name in ("whole", "killed"))
    draw = Random(seed)  # noqa: S311 - which steps
    places = [("step", draw.randint(4, 14)) for _ in range(5)]
    assert perform(tmp_path, [whole, *kills(killed, places)]) == [0, *[KILLED] * len(places), 0]
    assert_same(tmp_path / "whole" / span_run.name, tmp_path / "killed" / span_run.name)


@pytest.mark.slow
def test_two_processes_killed(span_run: RunConfig, tmp_path: Path) -> None:
    training = {"num_train_epochs": 2, "per_device_train_batch_size": 2, "eval_strategy": "steps", "eval_steps": 5}
    whole, killed = (attempt(span_run, tmp_path, name, training=training) for name in ("whole", "killed"))
    assert perform(tmp_path, [whole], processes=2) == [0]
    for one in kills(killed, [("step", 8), ("mark", 1), ("step", 9)])[:-1]:
        assert perform(tmp_path, [one], processes=2) != [0]
    assert perform(tmp_path, [{**killed, "resume": True}], processes=2) == [0]
    assert_same(tmp_path / "whole" / span_run.name, tmp_path / "killed" / span_run.name)
