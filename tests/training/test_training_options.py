"""What `training` may ask of the machine: every option alone and together leaves a whole model that verifies."""

import json
from io import StringIO
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from transformers import TrainerCallback

from nlp_inference import Predictor
from nlp_inference.golden import require_verified
from nlp_training import RunConfig, load_documents, train
from nlp_training.evaluation import evaluate_documents
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.arguments import resolve_config
from nlp_training.trainer.build import build_processor, build_trainer
from nlp_training.trainer.splits import load_splits

COMPILED = {"torch_compile": True, "torch_compile_backend": "eager"}
"""Dynamo traces and wraps as with every backend; a generated kernel is a compiler's business, and takes a minute."""


@pytest.mark.parametrize(
    "training",
    [
        {"activation_checkpointing": True, "bf16": True},
        {**COMPILED, "bf16": True, "gradient_accumulation_steps": 2, "activation_checkpointing": True},
    ],
    ids=["checkpointing and bf16", "all"],
)
def test_a_run_with_an_option_leaves_a_plain_model_that_verifies(span_run: RunConfig, training: dict[str, Any]) -> None:
    run = span_run.model_copy(
        update={"training": {**span_run.training, "num_train_epochs": 2, "report_to": "none", **training}}
    )
    try:
        result = train(run, console=Console(file=StringIO()))
    finally:
        torch._dynamo.reset()
    names = set(load_file(result.model / "model.safetensors"))
    assert "bert.embeddings.word_embeddings.weight" in names
    assert not any("_orig_mod" in name or name.startswith("module.") for name in names)
    saved = json.loads((result.model / "config.json").read_text())
    assert saved["dtype"] == "float32"
    verification = require_verified(result.model)
    assert verification.bit_for_bit == verification.records > 0
    predictor = Predictor.from_pretrained(result.model)
    documents = load_documents(run.data.test["test"])
    assert evaluate_documents(predictor, documents)["f1"] == result.metrics["test"]["f1"] > 0.9


class _Weights(TrainerCallback):
    """The weights after each step."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def on_step_end(self, *args: Any, model: torch.nn.Module, **kwargs: Any) -> None:
        self.seen.append(torch.cat([one.detach().flatten().clone() for one in model.parameters()]))


def _trained(run: RunConfig, **training: Any) -> tuple[DocumentTrainer, list[torch.Tensor]]:
    run = run.model_copy(update={"training": {**run.training, "num_train_epochs": 1, "report_to": "none", **training}})
    splits = load_splits(run)
    processor = build_processor(run, splits["train"])
    weights = _Weights()
    resolved = resolve_config(run, processor=processor, best_metric="f1")
    torch.manual_seed(0)
    trainer = build_trainer(resolved, processor, splits, callbacks=[weights])
    trainer.train()
    return trainer, weights.seen


@pytest.mark.parametrize(
    ("training", "tolerance"),
    [
        ({"gradient_accumulation_steps": 2, "per_device_train_batch_size": 4}, 1e-5),
        ({"activation_checkpointing": True}, 1e-6),
        (COMPILED, 1e-6),
    ],
    ids=["accumulation", "checkpointing", "compile"],
)
def test_an_option_changes_how_a_step_is_computed_and_not_the_step(
    span_run: RunConfig, training: dict[str, Any], tolerance: float
) -> None:
    plain = {"train_sampling_strategy": "sequential", "learning_rate": 1e-3, "optim": "sgd"}
    run = span_run.model_copy(update={"training": {**span_run.training, **plain}})
    _, expected = _trained(run)
    try:
        trainer, weights = _trained(run, **training)
    finally:
        torch._dynamo.reset()
    assert len(weights) == len(expected) == 6
    assert all((one - other).abs().max() < tolerance for one, other in zip(weights, expected, strict=True))
    assert not (weights[-1] == weights[0]).all()
    assert hasattr(trainer.model_wrapped, "_orig_mod") == ("torch_compile" in training)
    with trainer.serving() as predictor:
        assert type(trainer.model).__name__ == type(predictor.backend.model).__name__ == "BertForTokenClassification"
