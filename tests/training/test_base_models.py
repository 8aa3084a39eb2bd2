"""Runs on bases that need care: more tokens than embeddings, few positions, no padding token, mixed padding."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_records import label_records
from rich.console import Console
from strategies import messy_texts, sentences
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    FunnelBaseModel,
    FunnelConfig,
    FunnelForTokenClassification,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
)

from nlp_inference import Predictor
from nlp_inference.backends.padding import PaddingWarning
from nlp_inference.errors import ArtefactError, InvalidSpecError
from nlp_training import train
from nlp_training.artefact.verification import Replay, replay_lines
from nlp_training.config import RunConfig
from nlp_training.export.graph import export_graph
from nlp_training.trainer.build import build_processor, warn_of_padded_batches
from nlp_training.trainer.splits import load_splits

SIZES = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}


def save_base(folder: Path, tokenizer, make) -> str:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        make().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def on(run: RunConfig, base: str, **changes) -> RunConfig:
    """The run on another base, with sections changed; one epoch long."""
    content = run.model_dump(exclude_none=True)
    content["model"] = {"base": base}
    content["training"]["num_train_epochs"] = 1
    for section, values in changes.items():
        content[section] = {**content[section], **values}
    return RunConfig.model_validate(content)


def processor_of(run: RunConfig):
    return build_processor(run, load_splits(run)["train"])


@pytest.fixture
def added(tokenizer, tmp_path: Path) -> str:
    """A BERT whose tokenizer has one token more than the model has embeddings."""
    own = AutoTokenizer.from_pretrained(tokenizer.name_or_path)
    own.add_tokens(["qqurlqq"])
    return save_base(tmp_path / "added", own, lambda: BertModel(BertConfig(**SIZES, max_position_embeddings=512)))


def test_a_tokenizer_that_is_larger_than_the_embeddings_is_refused_before_training(span_run, added):
    said = r"token ids up to 30522, but the model has embeddings for 30522 .* set model.resize_embeddings: true"
    with pytest.raises(InvalidSpecError, match=said):
        train(on(span_run, added))


def test_embeddings_are_resized_if_the_configuration_says_so(span_run, added):
    result = train(on(span_run, added, model={"resize_embeddings": True}))
    predictor = Predictor.from_pretrained(result.model)
    assert predictor.backend.limits.vocabulary == 30523
    assert predictor.processor.encode(predictor.predict(["see qqurlqq"]))[0].token_ids[-1] == 30522
    assert result.verification is not None
    assert result.verification.ok


@pytest.fixture
def short(tokenizer, tmp_path: Path) -> str:
    """A BERT of 100 positions, whose tokenizer says nothing of a limit."""
    own = AutoTokenizer.from_pretrained(tokenizer.name_or_path, model_max_length=int(1e30))
    return save_base(tmp_path / "short", own, lambda: BertModel(BertConfig(**SIZES, max_position_embeddings=100)))


def test_windows_are_by_default_as_long_as_the_model_reads(span_run, short):
    run = on(span_run, short)
    processor = processor_of(run)
    assert processor.layout.max_length == processor.windows.max_length == 100
    result = train(run)
    assert json.loads((result.model / "processor_config.json").read_text())["windows"]["max_length"] == 100
    [document] = Predictor.from_pretrained(result.model).predict(["Ana met Bo in Rome. " * 100])
    assert document.coverage.windows > 1


def test_windows_that_the_model_cannot_read_are_refused_with_the_number_that_it_can(span_run, short):
    said = "windows.max_length is 101, but the model has positions for 100 tokens; use at most 100"
    with pytest.raises(InvalidSpecError, match=said):
        processor_of(on(span_run, short, processor={"windows": {"max_length": 101}}))
    assert processor_of(on(span_run, short, processor={"windows": {"max_length": 99}})).layout.max_length == 99


@pytest.fixture
def funnel(tokenizer, tmp_path: Path) -> str:
    config = FunnelConfig(
        vocab_size=30522, d_model=32, n_head=2, d_head=16, d_inner=64, block_sizes=[1, 1], num_decoder_layers=1
    )
    return save_base(tmp_path / "funnel", tokenizer, lambda: FunnelBaseModel(config))


def test_a_model_whose_outputs_depend_on_padding_is_trained_and_served_row_by_row(span_run, funnel, tmp_path):
    console = Console(record=True, width=200)
    with pytest.warns(PaddingWarning, match="training pads the 8 rows of a batch"):
        result = train(on(span_run, funnel), console=console)
    said = console.export_text()
    manifest = json.loads((result.model.parent / "run.json").read_text())
    assert result.verification == Replay.model_validate(manifest["verification"])
    assert result.verification.ok
    assert result.verification.rows_apart
    assert f"verified: {result.verification.records} golden records, alone and in batches" in said
    assert "the outputs of this model depend on its batches" in said
    with pytest.warns(PaddingWarning, match="depend on the other rows of a batch, so its rows run one at a time"):
        predictor = Predictor.from_pretrained(result.model)

    @settings(max_examples=15)
    @given(texts=st.lists(sentences | messy_texts, min_size=1, max_size=5), data=st.data())
    def neighbors_change_no_bit(texts, data):
        index = data.draw(st.integers(0, len(texts) - 1))
        [alone] = predictor.predict([texts[index]])
        beside = predictor.predict(texts)[index]
        assert beside.predicted == alone.predicted

    neighbors_change_no_bit()


def funnel_for(task) -> FunnelForTokenClassification:
    sizes = {"d_model": 32, "n_head": 2, "d_head": 16, "d_inner": 64, "block_sizes": [1, 1], "num_decoder_layers": 1}
    return FunnelForTokenClassification(FunnelConfig(vocab_size=30522, **sizes, **task.model_settings()))


@pytest.mark.slow
def test_the_refusal_of_an_export_of_funnel_states_its_cause(token_processor):
    with pytest.raises(ArtefactError) as refused:
        export_graph(funnel_for(token_processor.task), token_processor)
    said = str(refused.value)
    assert said.startswith("FunnelForTokenClassification cannot be exported to ONNX: ")
    assert "tracing inferred a static shape" in said
    assert "\x1b" not in said
    assert said.endswith("; serve it with torch")


def test_a_run_warns_that_padding_changes_the_loss(span_run, token_processor):
    model = funnel_for(token_processor.task)
    with pytest.warns(PaddingWarning, match=r"FunnelForTokenClassification .* training.per_device_train_batch_size: 1"):
        warn_of_padded_batches(span_run, model)
    content = span_run.model_dump(exclude_none=True)
    content["training"] |= {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8}
    warn_of_padded_batches(RunConfig.model_validate(content), model)
    warn_of_padded_batches(span_run, BertModel(BertConfig(**SIZES)))


def without_pad_token() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with a token for the end and none for padding, and no template, as GPT-2 has it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    texts = [str(record["text"]) for record in label_records("train", 48)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|fill|>"]
    made.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=special[0], bos_token=special[0])


@pytest.fixture
def decoder(tmp_path: Path) -> str:
    own = without_pad_token()
    config = GPT2Config(vocab_size=len(own), n_positions=64, n_embd=32, n_layer=1, n_head=2)
    return save_base(tmp_path / "decoder", own, lambda: GPT2Model(config))


@pytest.mark.parametrize(("given_token", "expected"), [(None, "<|endoftext|>"), ("<|fill|>", "<|fill|>")])
def test_a_decoder_without_a_padding_token_is_trained_with_one(label_run, decoder, given_token, expected):
    changes = {} if given_token is None else {"processor": {"pad_token": given_token}}
    result = train(on(label_run, decoder, **changes))
    predictor = Predictor.from_pretrained(result.model)
    tokenizer = predictor.processor.tokenizer
    assert tokenizer.pad_token == expected
    assert json.loads((result.model / "config.json").read_text())["pad_token_id"] == tokenizer.pad_token_id
    assert result.verification.ok
    texts = ["", "Ana", "see <|endoftext|>", "Ana met Bo in Rome on the fifth of May and left", "<|fill|>"]
    together = predictor.predict(texts)
    for text, beside in zip(texts, together, strict=True):
        [alone] = predictor.predict([text])
        for one, other in zip(alone.predicted.categories, beside.predicted.categories, strict=True):
            assert (one.label, one.score) == (other.label, pytest.approx(other.score, abs=1e-5))


def test_a_decoder_tags_tokens_too(span_run, decoder):
    result = train(on(span_run, decoder))
    assert result.verification.ok
    assert Predictor.from_pretrained(result.model).processor.layout.max_length == 64


def test_a_padding_token_that_is_no_token_is_refused(label_run, decoder):
    with pytest.raises(InvalidSpecError, match=r"processor.pad_token is '<pad>', which is not in the vocabulary"):
        processor_of(on(label_run, decoder, processor={"pad_token": "<pad>"}))


def test_a_tokenizer_without_any_token_to_pad_with_is_named(label_run, decoder):
    own = AutoTokenizer.from_pretrained(decoder)
    own.eos_token = None
    own.save_pretrained(decoder)
    with pytest.raises(
        InvalidSpecError, match=r"neither a padding token nor an end-of-text token.*processor.pad_token"
    ):
        processor_of(on(label_run, decoder))


def test_a_run_whose_model_does_not_repeat_its_records_says_so_in_red():
    replay = Replay(records=40, bit_for_bit=20, differing=20, first="record 'a', stage batched")
    [line] = replay_lines(replay, Path("runs/a/model"))
    assert "not verified: 20 of 40 golden records differ" in str(line)
    assert "record 'a', stage batched" in str(line)
    assert "red" in str(line.style)


def test_nothing_warns_where_padding_changes_nothing(span_run, tiny_base):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = train(on(span_run, str(tiny_base)))
        predictor = Predictor.from_pretrained(result.model)
    assert not predictor.backend.rows_apart
    assert not result.verification.rows_apart
