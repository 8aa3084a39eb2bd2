"""Adapters, averaged weights and reinitialized layers: what is evaluated is what is saved."""

from io import StringIO

import pytest
import torch
from made_up_records import label_records, write_splits
from rich.console import Console
from transformers import AutoModelForSequenceClassification, BertConfig

from nlp_inference import Predictor
from nlp_inference.errors import InvalidSpecError
from nlp_inference.golden import require_verified
from nlp_training import RunConfig, load_documents, train
from nlp_training.config import EmaSettings
from nlp_training.evaluation import evaluate_documents
from nlp_training.trainer.adapters import add_adapter, merged
from nlp_training.trainer.build import build_checked_processor, build_trainer, resolve_for
from nlp_training.trainer.parameter_groups import reinitialize_layers
from nlp_training.trainer.splits import load_splits
from nlp_training.trainer.weight_average import WeightAverage

LORA = {"lora": {"r": 2, "lora_alpha": 4}}


@pytest.fixture
def config(tmp_path, tiny_base):
    def make(model=(), training=(), **changes):
        return RunConfig.model_validate(
            {
                "name": "adapted",
                "output_dir": str(tmp_path / "runs"),
                "cpu_threads": 1,
                "model": {"base": str(tiny_base), **dict(model)},
                "data": write_splits(tmp_path, label_records),
                "processor": {"task": "text-classification"},
                "training": {"num_train_epochs": 1, "learning_rate": 0.01, "bf16": False, **dict(training)},
                **changes,
            }
        )

    return make


def built(config):
    splits = load_splits(config)
    processor = build_checked_processor(config, splits)
    return build_trainer(resolve_for(config, processor, has_validation=True), processor, splits)


def bert():
    torch.manual_seed(0)
    sizes = {"vocab_size": 99, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    return AutoModelForSequenceClassification.from_config(BertConfig(**sizes, num_hidden_layers=3, pad_token_id=0))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"adapter": {"ia3": {"feedforward_modules": ["intermediate.dense"]}}}},
        {"model": {"adapter": LORA}, "ema": {"decay": 0.9}},
        {"model": {"reinitialize_layers": 1}, "ema": {"decay": 0.9}},
    ],
    ids=["ia3", "lora and ema", "reinitialized and ema"],
)
def test_the_saved_model_is_the_evaluated_model_bit_for_bit(config, changes):
    run = config(**changes)
    result = train(run, console=Console(file=StringIO()))
    verification = require_verified(result.model)
    assert verification.bit_for_bit == verification.records > 0
    predictor = Predictor.from_pretrained(result.model)
    documents = load_documents(run.data.test["test"])
    assert evaluate_documents(predictor, documents)["accuracy"] == result.metrics["test"]["accuracy"]
    plain, loaded = AutoModelForSequenceClassification.from_pretrained(result.model, output_loading_info=True)
    assert type(plain).__name__ == "BertForSequenceClassification"
    assert not loaded["missing_keys"]
    assert not loaded["unexpected_keys"]


def test_an_adapter_leaves_the_encoder_as_it_is():
    model = bert()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    add_adapter(model, LORA)
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    assert all("lora_" in name or name.startswith("classifier.") for name in trained)
    assert {"classifier.weight", "classifier.bias"} <= trained
    assert all(torch.equal(one, before[name]) for name, one in merged(model).state_dict().items())


def test_the_merged_model_predicts_what_the_adapter_predicts():
    model = bert().eval()
    add_adapter(model, LORA)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    inputs = {"input_ids": torch.arange(12).reshape(2, 6)}
    with torch.no_grad():
        torch.testing.assert_close(merged(model)(**inputs).logits, model(**inputs).logits)


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        ("lorra", "model.adapter is 'lorra', but the installed peft has .*lora"),
        ({"lora": {"rank": 2}}, "model.adapter 'lora' has no field 'rank'; its fields are .*"),
        ({"lora": {"r": 0}}, "model.adapter 'lora' cannot be inserted into this model"),
        ({"lora": {"target_modules": ["q_proj"]}}, "model.adapter 'lora' cannot be inserted into this model"),
        ("prefix_tuning", "model.adapter 'prefix_tuning'.*"),
        ({"adalora": {"total_step": 9}}, "model.adapter 'adalora' needs a call after each step"),
    ],
)
def test_an_adapter_that_does_not_fit_is_an_error(adapter, said):
    with pytest.raises(InvalidSpecError, match=said):
        add_adapter(bert(), adapter)


@pytest.mark.parametrize("key", ["reinitialize_layers", "resize_embeddings"])
def test_new_weights_cannot_be_frozen_below_an_adapter(config, key):
    with pytest.raises(ValueError, match=f"{key} adds random weights, which an adapter keeps frozen"):
        config(model={"adapter": "lora", key: 1})


def test_the_top_layers_start_with_new_weights():
    model = bert()
    before = {name: one.clone() for name, one in model.named_parameters()}
    names = reinitialize_layers(model, 2)
    changed = {name for name, one in model.named_parameters() if not torch.equal(one, before[name])}
    assert changed <= set(names)
    assert {name for name in names if name.endswith("dense.weight")} <= changed
    assert {name.split(".layer.")[1][0] for name in names} == {"1", "2"}
    with pytest.raises(InvalidSpecError, match=r"model\.reinitialize_layers is 4, but the encoder has 3 layers"):
        reinitialize_layers(model, 4)


def test_the_average_follows_the_weights():
    model = torch.nn.Linear(1, 1, bias=False)
    weights, expected = [1.0, 3.0, -2.0], 0.0
    torch.nn.init.zeros_(model.weight)
    average = WeightAverage(model, EmaSettings(decay=0.5))
    for step, weight in enumerate(weights):
        torch.nn.init.constant_(model.weight, weight)
        average.on_optimizer_step(None, None, None, model=model)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    assert average.average.module.weight.item() == pytest.approx(expected)


def test_a_resumed_run_has_the_average_of_a_run_that_was_not_stopped(config, tmp_path):
    training = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "no", "load_best_model_at_end": False}
    trainers = []
    for resume in (None, "checkpoint-2"):
        run = config(model={"adapter": LORA}, ema={"decay": 0.9}, training=training)
        trainer = built(run)
        trainer.train(resume_from_checkpoint=resume and str(run.folder / "checkpoints" / resume))
        trainers.append(trainer)
    with trainers[0].serving() as whole, trainers[1].serving() as resumed:
        for name, one in whole.backend.model.state_dict().items():
            assert torch.equal(one, resumed.backend.model.state_dict()[name]), name
