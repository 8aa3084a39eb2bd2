"""Two processes that a signal interrupts: one decision for both, and the resumed run ends as an unstopped one does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_up_records import span_records, write_jsonl
from small_trainings import small_trainer
from transformers.trainer_jit_checkpoint import JITCheckpointCallback

from nlp_training import RunConfig
from nlp_training._utils.complete_checkpoints import checkpoints_in, is_complete
from nlp_training.config import save_config
from nlp_training.provenance.manifest import RunManifest
from nlp_training.trainer.resumable_trainer import ResumableTrainer

ROOT = Path(__file__).parents[2]

SCRIPT = """
import os, signal, sys, time
from transformers.trainer_jit_checkpoint import CheckpointManager
from nlp_training import load_config, train
from nlp_training.trainer import DocumentTrainer
CheckpointManager.__init__.__defaults__ = (0,)  # seconds to wait before a checkpoint is requested
ranks, step, resume = sys.argv[2].split(","), int(sys.argv[3]), sys.argv[4] == "resume"
rank = os.environ["RANK"]
train_step = DocumentTrainer.training_step
def training_step(self, *args, **kwargs):
    if rank in ranks and self.state.global_step == step:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)  # the request is made by another thread
    if ranks == ["launcher"]:
        if rank == "0" and self.state.global_step == step:
            os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(0.3)  # the launcher takes a moment to pass it on
    return train_step(self, *args, **kwargs)
DocumentTrainer.training_step = training_step
train(load_config(sys.argv[1]), resume=resume)
import torch.distributed
torch.distributed.destroy_process_group()
"""


def launch(folder: Path, run: RunConfig, ranks: str, step: int, *, resume: bool) -> subprocess.CompletedProcess[str]:
    save_config(run, folder / "run.yaml")
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "accelerate.commands.launch"]
    command += ["--config_file", str(ROOT / "configs" / "accelerate" / "ddp_cpu.yaml"), "--main_process_port=0"]
    command += [str(folder / "script.py"), str(folder / "run.yaml"), ranks, str(step)]
    command += ["resume" if resume else "start"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def two_process_run(span_run: RunConfig, folder: Path, name: str) -> RunConfig:
    content: dict[str, Any] = span_run.model_dump(exclude_none=True)
    content["name"] = name
    content["data"]["train"] = str(write_jsonl(folder / "train.jsonl", span_records("train", 40)))
    content["training"] |= {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 2,
        "enable_jit_checkpoint": True,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
    }
    return RunConfig.model_validate(content)


def end_of(run: RunConfig) -> tuple[bytes, Any, Any]:
    state = json.loads((checkpoints_in(run.folder / "checkpoints")[-1] / "trainer_state.json").read_text())
    timed = ("runtime", "per_second")
    log = [{key: value for key, value in one.items() if not key.endswith(timed)} for one in state["log_history"]]
    return (run.folder / "model" / "model.safetensors").read_bytes(), state["global_step"], log


@pytest.mark.slow
def test_a_signal_to_any_process_interrupts_both_and_the_resumed_run_ends_as_usual(
    span_run: RunConfig, tmp_path: Path
) -> None:
    complete = two_process_run(span_run, tmp_path, "complete")
    done = launch(tmp_path, complete, "none", 0, resume=False)
    assert done.returncode == 0, done.stderr
    for ranks, step in (("0", 3), ("1", 9), ("0,1", 12)):  # 9: the last step of the first epoch
        run = two_process_run(span_run, tmp_path, f"stopped-{step}")
        stopped = launch(tmp_path, run, ranks, step, resume=False)
        assert stopped.returncode != 0
        assert "InterruptedRunError" in stopped.stderr
        manifest = RunManifest.load(run.folder)
        assert manifest.status == "interrupted"
        assert "was interrupted after step" in str(manifest.error)
        assert not (run.folder / "model").exists()
        checkpoints = checkpoints_in(run.folder / "checkpoints")
        assert checkpoints
        assert all(map(is_complete, checkpoints))
        resumed = launch(tmp_path, run, "none", 0, resume=True)
        assert resumed.returncode == 0, resumed.stderr
        assert RunManifest.load(run.folder).status == "finished"
        assert end_of(run) == end_of(complete)


@pytest.mark.slow
@pytest.mark.parametrize("writes_checkpoint", [True, False])
def test_a_signal_to_the_launcher_of_two_processes_stops_both_and_the_run_is_resumed(
    span_run: RunConfig, tmp_path: Path, *, writes_checkpoint: bool
) -> None:
    run = two_process_run(span_run, tmp_path, "stopped")
    steps = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2}
    changes = {**run.training, **steps, "enable_jit_checkpoint": writes_checkpoint}
    run = run.model_copy(update={"training": changes})
    stopped = launch(tmp_path, run, "launcher", 5, resume=False)
    assert stopped.returncode != 0
    manifest = RunManifest.load(run.folder)
    assert manifest.status == ("interrupted" if writes_checkpoint else "running")
    assert not (run.folder / "model").exists()
    last = json.loads((checkpoints_in(run.folder / "checkpoints")[-1] / "trainer_state.json").read_text())
    assert 4 <= last["global_step"] < 20
    assert launch(tmp_path, run, "none", 0, resume=True).returncode == 0
    assert RunManifest.load(run.folder).status == "finished"
    assert end_of(run)[1] == 20


def test_a_request_for_a_checkpoint_writes_nothing_until_the_step_is_done(tmp_path: Path) -> None:
    trainer = small_trainer(ResumableTrainer, tmp_path, enable_jit_checkpoint=True)
    [callback] = [one for one in trainer.callback_handler.callbacks if isinstance(one, JITCheckpointCallback)]
    manager = callback.jit_manager
    assert manager is not None
    manager.is_checkpoint_requested = True
    callback.on_step_begin(trainer.args, trainer.state, trainer.control)
    assert trainer.control.should_training_stop
    assert not manager.is_checkpoint_requested
    assert checkpoints_in(tmp_path) == []
    manager.is_checkpoint_requested = True
    trainer.train()
    assert trainer.interrupted
    assert [path.name for path in checkpoints_in(tmp_path)] == ["checkpoint-1"]
