"""The parts of a compression: the term of a teacher in the loss, and smaller vocabularies."""

from contextlib import nullcontext

import pytest
import torch
from tiny_models import tiny_model
from tokenizer_kinds import make_tokenizer
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AutoModel,
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DistilBertConfig,
    FunnelConfig,
    FunnelModel,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    PreTrainedConfig,
    RobertaConfig,
    T5Config,
)

from nlp_inference import Document, Processor, TextClassification
from nlp_inference.errors import InvalidSpecError
from nlp_training._utils.layer_stacks import layer_stacks
from nlp_training.compress.vocabulary import (
    check_same_tokens,
    kept_ids,
    trim_embeddings,
    trimmed_tokenizer,
    used_tokens,
)
from nlp_training.config import DistillationSettings
from nlp_training.losses import Loss
from nlp_training.losses.layer_outputs import LayerOutputs
from nlp_training.trainer.batch_loss import BatchLoss
from nlp_training.trainer.teacher_term import TeacherTerm, target_layers

TEXTS = [Document(raw_text=text) for text in ("Ana Silva lives in Rome.", "Bo met Ana in Oslo!")]
OTHERS = [Document(raw_text="Zoë and Nguyễn met in Düsseldorf; 5'7")]


@pytest.mark.parametrize("kind", ["bert uncased", "roberta", "llama 3", "llama 2", "gemma", "xlm-r", "t5"])
def test_texts_have_the_same_tokens_with_a_smaller_vocabulary(kind):
    tokenizer = make_tokenizer(kind)
    task = TextClassification(labels=("a", "b"))
    before = Processor(tokenizer, task)
    kept = kept_ids(tokenizer, used_tokens(before, TEXTS))
    assert len(kept) < len(tokenizer)
    after = Processor(trimmed_tokenizer(tokenizer, kept), task)
    check_same_tokens(before, after, kept, TEXTS)
    assert len(after.tokenizer) == len(kept)
    unknown = after.tokenizer.unk_token_id
    rows = [row for one in after.encode(OTHERS) for row in after.rows(one)]
    known = [row for one in before.encode(OTHERS) for row in before.rows(one)]
    assert sum(list(row.input_ids).count(unknown) for row in rows) <= sum(
        list(row.input_ids).count(tokenizer.unk_token_id) for row in known
    )


def test_a_model_has_the_same_logits_with_fewer_embeddings():
    torch.manual_seed(0)
    config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=50)
    model = BertForSequenceClassification(config).eval()
    before = model(torch.tensor([[1, 7, 9]])).logits
    trim_embeddings(model, [0, 1, 7, 9])
    assert model.config.vocab_size == 4
    assert torch.equal(model(torch.tensor([[1, 2, 3]])).logits, before)


def test_a_teacher_of_the_same_weights_adds_nothing(text_processor, tmp_path):
    text_processor.save_pretrained(tmp_path)
    model = tiny_model(text_processor.task, layers=2)
    model.save_pretrained(tmp_path)
    loss = BatchLoss(
        Loss.from_spec({"distillation": str(tmp_path)}),
        processor=text_processor,
        model=model,
        documents=None,
        device="cpu",
    )
    settings = DistillationSettings(teacher=str(tmp_path), outputs=1.0, hidden_states=1.0, attentions=1.0)
    term = TeacherTerm(settings, processor=text_processor, model=model, loss=loss, device="cpu")
    assert term.teacher is loss.teacher
    batch = dict(text_processor(["Ana lives", "Bo"], return_tensors="pt"))
    with term.watching():
        outputs = model(**batch)
    assert term(batch, outputs).detach().item() == pytest.approx(0, abs=1e-6)
    assert term.log_values().keys() == {"outputs_error", "hidden_states_error", "attentions_error"}
    with torch.no_grad():
        model.bert.encoder.layer[1].output.dense.weight.normal_()
    with term.watching():
        outputs = model(**batch)
    value = term(batch, outputs)
    value.backward()
    assert value > 0.01
    assert model.bert.embeddings.word_embeddings.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"hidden_states": 1.0}, "AlbertForSequenceClassification has no separate layers to compare"),
        ({"hidden_states": 0.0, "outputs": 1.0}, None),
    ],
)
def test_layers_are_compared_only_where_there_are_some(text_processor, tmp_path, part, message):
    text_processor.save_pretrained(tmp_path)
    sizes = {"hidden_size": 8, "embedding_size": 8, "intermediate_size": 8, "num_attention_heads": 2}
    config = AlbertConfig(vocab_size=30522, **sizes, **text_processor.task.model_settings())
    model = AlbertForSequenceClassification(config).eval()
    model.save_pretrained(tmp_path)
    settings = DistillationSettings(teacher=str(tmp_path), **part)
    context = nullcontext() if message is None else pytest.raises(InvalidSpecError, match=message)
    with context:
        term = TeacherTerm(settings, processor=text_processor, model=model, loss=None, device="cpu")
        batch = dict(text_processor(["Ana lives", "Bo"], return_tensors="pt"))
        assert term(batch, model(**batch)).detach().item() == pytest.approx(0, abs=1e-6)


def test_attention_is_not_compared_where_layers_run_again_in_the_backward_pass():
    model = AutoModel.from_config(BertConfig(**SIZES)).train()
    model.activation_checkpointing_enable()
    with (
        pytest.raises(InvalidSpecError, match=r"set training\.activation_checkpointing to false"),
        LayerOutputs(model, layer_stacks(model), attentions=True),
    ):
        pass


def test_layers_that_do_not_fit_are_refused():
    assert target_layers(2, 6, [1, 5]) == [1, 5]
    with pytest.raises(InvalidSpecError, match="expected 2 numbers, one for each layer of the model, from 0 to 5"):
        target_layers(2, 6, [1, 6])


SIZES = {
    "vocab_size": 9,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "pad_token_id": 0,
}
FAMILIES: dict[type[PreTrainedConfig], dict[str, int]] = {
    BertConfig: SIZES,
    RobertaConfig: SIZES,
    DebertaV2Config: SIZES,
    ModernBertConfig: SIZES,
    LlamaConfig: SIZES,
    DistilBertConfig: {"vocab_size": 9, "dim": 8, "hidden_dim": 8, "n_layers": 2, "n_heads": 2},
    GPT2Config: {"vocab_size": 9, "n_embd": 8, "n_layer": 2, "n_head": 2},
    T5Config: {"vocab_size": 9, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 2, "num_heads": 2},
}


@pytest.mark.parametrize("config", FAMILIES, ids=lambda one: one.model_type)
def test_attention_weights_of_every_layer_are_kept(config):
    model = AutoModel.from_config(config(**FAMILIES[config])).eval()
    before = model.config._attn_implementation
    inputs = {"input_ids": torch.tensor([[1, 2, 3, 4]])}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"]
    with LayerOutputs(model, layer_stacks(model), attentions=True) as kept, torch.no_grad():
        model(**inputs)
    [weights] = kept.attentions.values()
    assert [one.shape for one in weights] == [(1, 2, 4, 4)] * 2
    assert all(torch.allclose(one.sum(dim=-1), torch.ones(1, 2, 4)) for one in weights)
    assert model.config._attn_implementation == before


def test_a_family_whose_layers_return_too_little_is_refused():
    sizes = {"block_sizes": [1, 1], "d_model": 8, "n_head": 2, "d_head": 4, "d_inner": 8, "num_decoder_layers": 0}
    model = FunnelModel(FunnelConfig(vocab_size=9, **sizes)).eval()
    with (
        pytest.raises(InvalidSpecError, match="the layers of FunnelModel do not return their hidden states"),
        LayerOutputs(model, layer_stacks(model), attentions=True),
    ):
        model(input_ids=torch.tensor([[1, 2, 3, 4]]))
