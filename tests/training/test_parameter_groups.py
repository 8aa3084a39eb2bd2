"""Which parameters are trained, and at which learning rate."""

from io import StringIO

import pytest
import torch
from made_up_records import label_records, write_splits
from rich.console import Console
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    LlamaConfig,
    ModernBertConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

from nlp_inference import Predictor
from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig, train
from nlp_training.config import LearningRates
from nlp_training.trainer.build import build_checked_processor, build_trainer, resolve_for
from nlp_training.trainer.parameter_groups import freeze_parameters, parameter_groups
from nlp_training.trainer.splits import load_splits

SIZES = {
    "vocab_size": 99,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "pad_token_id": 0,
}
FAMILIES = {
    "bert": BertConfig(**SIZES),
    "roberta": RobertaConfig(**SIZES),
    "xlm-roberta": XLMRobertaConfig(**SIZES),
    "electra": ElectraConfig(**SIZES),
    "distilbert": DistilBertConfig(vocab_size=99, dim=16, n_layers=3, n_heads=2, hidden_dim=16),
    "modernbert": ModernBertConfig(**SIZES, global_attn_every_n_layers=1),
    "llama": LlamaConfig(**SIZES),
}


@pytest.fixture(params=FAMILIES)
def model(request):
    return AutoModelForSequenceClassification.from_config(FAMILIES[request.param])


def rates_of(model, rates, learning_rate=1.0):
    groups = parameter_groups(model, rates, learning_rate=learning_rate, weight_decay=0.1, decayed=[])
    by_identity = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    return {name: by_identity[id(one)] for name, one in model.named_parameters() if id(one) in by_identity}


def test_each_layer_has_the_rate_of_the_one_above_times_the_decay(model):
    rates = rates_of(model, LearningRates(layer_decay=0.5, head=3.0))
    prefix = f"{model.base_model_prefix}."
    of_layers = {
        rate for name, rate in rates.items() if name.startswith(prefix) and ".0." in name and "embed" not in name
    }
    assert of_layers == {0.125}
    assert {rate for name, rate in rates.items() if name.startswith(prefix) and "embed" in name} == {0.0625}
    assert {rate for name, rate in rates.items() if not name.startswith(prefix)} == {3.0}
    assert set(rates.values()) == {3.0, 0.5, 0.25, 0.125, 0.0625}


def test_without_decay_all_of_the_encoder_has_the_rate_of_the_run(model):
    assert set(rates_of(model, LearningRates(head=2.0)).values()) == {1.0, 2.0}
    assert set(rates_of(model, LearningRates()).values()) == {1.0}


def test_the_lowest_layers_are_frozen_with_the_embeddings(model):
    frozen = freeze_parameters(model, 2)
    trained = [name for name, one in model.named_parameters() if one.requires_grad]
    assert not set(frozen) & set(trained)
    assert all(
        "embed" not in name and ".0." not in name and ".1." not in name for name in trained if "classifier" not in name
    )
    assert any(".2." in name for name in trained)
    assert set(rates_of(model, LearningRates())) == set(trained)


def test_weight_decay_is_kept_apart():
    model = AutoModelForSequenceClassification.from_config(FAMILIES["bert"])
    groups = parameter_groups(
        model, LearningRates(), learning_rate=1.0, weight_decay=0.1, decayed=["classifier.weight"]
    )
    [decayed] = [group for group in groups if group["weight_decay"]]
    assert decayed["params"] == [model.classifier.weight]


@pytest.mark.parametrize(
    ("freeze", "said"),
    [
        (4, "model.freeze is 4, but the encoder has 3 layers"),
        (
            ("bert.embedings.*",),
            r"model.freeze has 'bert.embedings.\*', which matches no parameter; the names are bert.emb",
        ),
        (("*",), "which freezes all parameters"),
    ],
)
def test_what_cannot_be_frozen_is_said(freeze, said):
    with pytest.raises(InvalidSpecError, match=said):
        freeze_parameters(AutoModelForSequenceClassification.from_config(FAMILIES["bert"]), freeze)


@pytest.fixture
def config(tmp_path, tiny_base):
    def make(**changes):
        training = {"num_train_epochs": 1, "learning_rate": 0.01, "per_device_train_batch_size": 8, "bf16": False}
        return RunConfig.model_validate(
            {
                "name": "rates",
                "output_dir": str(tmp_path / "runs"),
                "cpu_threads": 1,
                "model": {"base": str(tiny_base), "freeze": changes.pop("freeze", [])},
                "data": write_splits(tmp_path, label_records),
                "processor": {"task": "text-classification"},
                "training": {**training, **changes.pop("training", {})},
                **changes,
            }
        )

    return make


def built(config):
    splits = load_splits(config)
    processor = build_checked_processor(config, splits)
    return build_trainer(resolve_for(config, processor, has_validation=True), processor, splits)


def test_a_run_trains_what_is_not_frozen_at_the_rates_of_its_config(config):
    trainer = built(config(freeze=["bert.embeddings.*"], learning_rates={"layer_decay": 0.5, "head": 0.1}))
    before = {name: one.detach().clone() for name, one in trainer.model.named_parameters()}
    trainer.train()
    changed = {name for name, one in trainer.model.named_parameters() if not torch.equal(one, before[name])}
    assert {group["initial_lr"] for group in trainer.optimizer.param_groups} == {0.1, 0.005}
    assert any(name.startswith("classifier.") for name in changed)
    assert any(".encoder.layer.0." in name for name in changed)
    assert not any(name.startswith("bert.embeddings.") for name in changed)


def test_a_frozen_run_is_saved_and_verified(config):
    result = train(config(freeze=0), console=Console(file=StringIO()))
    assert Predictor.from_pretrained(result.model, verify=True).predict("Hi").predicted.categories


def test_an_optimizer_without_groups_is_refused(config):
    trainer = built(config(learning_rates={"head": 0.1}, training={"optim": "adamw_torch"}))
    trainer.get_optimizer_cls_and_kwargs = lambda args, model=None: (torch.optim.SGD, {"optimizer_dict": {}})
    with pytest.raises(InvalidSpecError, match=r"learning_rates cannot be combined with training\.optim"):
        trainer.create_optimizer()
