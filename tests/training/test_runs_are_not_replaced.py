"""Training replaces no earlier run without being told to, and one process at a time writes to the folder of a run."""

import json
import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from made_up_records import span_records, write_jsonl
from rich.console import Console
from test_killed_runs import assert_same
from transformers.trainer_jit_checkpoint import JITCheckpointCallback
from typer.testing import CliRunner

from nlp_inference._utils.locks import exclusive_lock
from nlp_inference.errors import InvalidSpecError, OutputError, OutputLockedError
from nlp_training import RunConfig, train
from nlp_training._utils.complete_checkpoints import checkpoints_in, is_complete, mark_complete
from nlp_training.cli import app
from nlp_training.config import GoldenConfig, save_config
from nlp_training.provenance.manifest import RunManifest
from nlp_training.runs.record import InterruptedRunError
from nlp_training.runs.run_folder import LOCK_FILE, check_nothing_is_lost
from nlp_training.trainer import DocumentTrainer

pytestmark = pytest.mark.usefixtures("fast_trainings")


@pytest.fixture
def run(span_run: RunConfig) -> RunConfig:
    """Two epochs of six steps, without golden texts."""
    training = {**span_run.training, "num_train_epochs": 2, "per_device_train_batch_size": 8}
    return span_run.model_copy(update={"training": training, "golden": GoldenConfig(records=0)})


def quiet() -> Console:
    return Console(quiet=True)


def state_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_training_again_is_refused_unless_it_resumes_or_overwrites(run: RunConfig, tmp_path: Path) -> None:
    save_config(run, tmp_path / "run.yaml")
    command = ["train", str(tmp_path / "run.yaml")]
    assert CliRunner().invoke(app, command).exit_code == 0
    before = state_of(run.folder)
    done = CliRunner().invoke(app, command, env={"COLUMNS": "1000"})
    assert done.exit_code == 1
    expected = "already contains a model of a run that is 'finished'"
    for part in (str(run.folder), expected, "--resume (in Python resume=True)", "--overwrite (overwrite=True)"):
        assert part in done.stderr
    assert state_of(run.folder) == before
    with pytest.raises(OutputError, match="already contains a model"):
        train(run, console=quiet())
    with pytest.raises(InvalidSpecError, match="use only one of them"):
        train(run, console=quiet(), resume=True, overwrite=True)
    resumed = CliRunner().invoke(app, [*command, "--resume"])
    assert resumed.exit_code == 0, resumed.output
    weights = "model/model.safetensors"
    assert state_of(run.folder)[weights] == before[weights]
    again = CliRunner().invoke(app, [*command, "seed=7", "--overwrite"])
    assert again.exit_code == 0, again.output
    assert state_of(run.folder)[weights] != before[weights]
    assert RunManifest.load(run.folder).seed == 7


def fake_run(run: RunConfig, *, model: bool = False, checkpoint: bool = False, complete: bool = True) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    if model:
        (run.folder / "model").mkdir()
        (run.folder / "model" / "processor_config.json").write_text("{}")
    if checkpoint:
        folder = run.folder / "checkpoints" / "checkpoint-6"
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text(json.dumps({"best_global_step": None}))
        if complete:
            mark_complete(folder)


@pytest.mark.parametrize(
    ("there", "resume", "refused"),
    [
        ({}, False, None),
        ({}, True, None),
        ({"model": True}, False, "already contains a model"),
        ({"model": True}, True, "no complete checkpoint to resume from"),
        ({"model": True, "checkpoint": True, "complete": False}, True, "no complete checkpoint to resume from"),
        ({"checkpoint": True}, False, "already contains checkpoints up to step 6"),
        ({"checkpoint": True, "complete": False}, False, "already contains checkpoints up to step 6"),
        ({"checkpoint": True, "complete": False}, True, None),
        ({"checkpoint": True}, True, None),
        ({"model": True, "checkpoint": True}, True, None),
    ],
)
def test_what_is_refused(run: RunConfig, there: dict[str, bool], resume: bool, refused: str | None) -> None:
    fake_run(run, **there)
    if refused is None:
        check_nothing_is_lost(run, resume=resume)
        return
    with pytest.raises(OutputError, match=refused):
        check_nothing_is_lost(run, resume=resume)


def test_a_checkpoint_of_this_run_may_be_continued_and_that_of_another_does_not_replace_it(run: RunConfig) -> None:
    fake_run(run, model=True, checkpoint=True)

    def wanted(checkpoint: Any) -> RunConfig:
        return run.model_copy(update={"training": run.training | {"resume_from_checkpoint": checkpoint}})

    for checkpoint in (True, str(run.folder / "checkpoints" / "checkpoint-6")):
        check_nothing_is_lost(wanted(checkpoint), resume=False)
    with pytest.raises(OutputError, match="already contains a model"):
        check_nothing_is_lost(wanted("runs/another/checkpoints/checkpoint-6"), resume=False)


def test_one_process_at_a_time_trains_a_run(run: RunConfig) -> None:
    with exclusive_lock(run.folder / LOCK_FILE, purpose="training"):
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(OutputLockedError, match=f"in use by process {os.getpid()} on .*training, since"):
                train(run, console=quiet(), **options)
    assert list(run.folder.iterdir()) == []


@pytest.fixture
def requested_after(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Requests the checkpoint of `enable_jit_checkpoint` while a step is under way, as SIGTERM does."""
    after = {"calls": 10**9}
    original = DocumentTrainer.training_step

    def step(trainer: DocumentTrainer, *args: Any, **kwargs: Any) -> Any:
        after["calls"] -= 1
        if after["calls"] == 0:
            [callback] = [one for one in trainer.callback_handler.callbacks if isinstance(one, JITCheckpointCallback)]
            assert callback.jit_manager is not None
            callback.jit_manager.is_checkpoint_requested = True
        return original(trainer, *args, **kwargs)

    monkeypatch.setattr(DocumentTrainer, "training_step", step)
    return after


@pytest.mark.parametrize("strategy", ["epoch", "steps"])
def test_a_run_that_a_signal_interrupts_is_resumed_to_the_same_end(
    run: RunConfig, requested_after: dict[str, int], strategy: str, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"enable_jit_checkpoint": True}
    if strategy == "steps":
        changes |= {"eval_strategy": "steps", "eval_steps": 3, "gradient_accumulation_steps": 2}
        changes |= {"per_device_train_batch_size": 4, "save_total_limit": 1}
    run = run.model_copy(update={"training": run.training | changes})
    complete = run.model_copy(update={"output_dir": str(tmp_path / "complete")})
    train(complete, console=quiet())
    for calls in (3, 2):
        requested_after["calls"] = calls
        with pytest.raises(InterruptedRunError, match=r"interrupted after step \d+ of 12; its last checkpoint is"):
            train(run, console=quiet(), resume=True)
        manifest = RunManifest.load(run.folder)
        assert manifest.status == "interrupted"
        assert (manifest.error or "").startswith("InterruptedRunError: training of")
        assert not (run.folder / "model").exists()
        assert all(is_complete(path) for path in checkpoints_in(run.folder / "checkpoints"))
    output = StringIO()
    train(run, console=Console(file=output, width=200), resume=True)
    assert_same(complete.folder, run.folder)
    assert RunManifest.load(run.folder).status == "finished"


def test_ctrl_c_is_an_interruption_and_no_failure(run: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(DocumentTrainer, "training_step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(run, console=quiet())
    assert RunManifest.load(run.folder).status == "interrupted"
    listed = CliRunner().invoke(app, ["runs", str(run.folder.parent), "--json"])
    assert json.loads(listed.stdout)[0]["status"] == "interrupted"


def test_a_run_without_evaluation_says_so_in_one_line_and_has_no_empty_tables(run: RunConfig, tmp_path: Path) -> None:
    train_file = write_jsonl(tmp_path / "train.jsonl", span_records("train", 16))
    content = run.model_dump(mode="json", exclude_none=True) | {"data": {"train": str(train_file)}}
    content["training"] = {"max_steps": 2, "per_device_train_batch_size": 8}
    output = StringIO()
    result = train(RunConfig.model_validate(content), console=Console(file=output, width=200))
    told = output.getvalue()
    assert told.count("nothing was scored") == 1
    for title in ("F1 by label", "more scores", "coverage", "95 % interval"):
        assert title not in told
    card = (result.model / "README.md").read_text()
    assert card.count("Not evaluated") == 1


SLOW_STEPS = """
import sys
import time

from rich.console import Console

from nlp_training import load_config, train
from nlp_training.trainer import DocumentTrainer

step = DocumentTrainer.training_step


def slow_step(trainer, *args, **kwargs):
    print("step", flush=True)
    time.sleep(0.5)
    return step(trainer, *args, **kwargs)


DocumentTrainer.training_step = slow_step
train(load_config(sys.argv[1]), console=Console(quiet=True))
"""


@pytest.mark.slow
@pytest.mark.parametrize("jit", [True, False])
def test_a_run_that_gets_sigterm_is_resumed_to_the_same_end(run: RunConfig, tmp_path: Path, jit: bool) -> None:
    run = run.model_copy(update={"training": run.training | {"enable_jit_checkpoint": jit}})
    save_config(run, tmp_path / "run.yaml")
    command = [sys.executable, "-c", SLOW_STEPS, str(tmp_path / "run.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "step\n"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == (1 if jit else -signal.SIGTERM)
    assert ("InterruptedRunError" in errors) == jit
    assert RunManifest.load(run.folder).status == ("interrupted" if jit else "running")
    train(run, console=quiet(), resume=True)
    complete = run.model_copy(update={"output_dir": str(tmp_path / "complete")})
    train(complete, console=quiet())
    assert_same(complete.folder, run.folder)
