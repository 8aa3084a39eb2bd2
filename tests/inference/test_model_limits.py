"""What a model can read, and what a processor may give it: known tokens, and as many as it has positions for."""

import re
from typing import ClassVar

import numpy as np
import pytest
import torch
import transformers
from tiny_models import LABELS, tiny_model

from nlp_inference import Document, Predictor, Processor, QuestionAnswering, TextClassification, TokenClassification
from nlp_inference.architectures.input_limits import ModelLimits
from nlp_inference.architectures.model_limits import model_limits
from nlp_inference.backends.padding import check_padding
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.encoding.tokenization import highest_token_id
from nlp_inference.errors import ArtefactError, InvalidSpecError
from nlp_inference.golden import record_golden
from nlp_training.trainer.base_limits import check_reads_pairs

TASK = TextClassification(labels=("ham", "spam"))


SIZES = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}
FAMILIES = {
    "Bert": 40,
    "Roberta": 38,
    "XLMRoberta": 38,
    "Camembert": 38,
    "MPNet": 38,
    "Electra": 40,
    "Albert": 40,
    "DistilBert": 40,
    "Longformer": 38,
    "MobileBert": 40,
    "ConvBert": 40,
    "BigBird": 40,
    "FNet": 40,
    "Nystromformer": 40,
    "GPT2": 40,
    "RoFormer": 40,
    "CTRL": 40,
    "Mpt": 40,
}
"""The longest row that a model with `max_position_embeddings=40` and the padding token 1 reads."""


def tiny(family):
    config = getattr(transformers, f"{family}Config")
    changes = {"embedding_size": 16} if family in {"MobileBert", "Albert", "Electra", "RoFormer"} else {}
    if family == "DistilBert":
        changes |= {"dim": 16, "n_heads": 2, "n_layers": 1, "hidden_dim": 16}
    if family == "CTRL":
        changes |= {"n_embd": 16, "n_layer": 1, "n_head": 2, "dff": 16, "n_positions": 40}
    if family == "Mpt":
        changes |= {"d_model": 16, "n_layers": 1, "n_heads": 2, "max_seq_len": 40}
    return getattr(transformers, f"{family}Model")(config(**SIZES, **changes)).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_longest_row_is_read_and_one_token_more_is_not(family):
    model, expected = tiny(family), FAMILIES[family]
    limits = model_limits(model)
    assert (limits.vocabulary, limits.positions, limits.usable) == (60, expected, expected)
    row = torch.full((1, expected), 5)
    with torch.inference_mode():
        model(input_ids=row)
        with pytest.raises((IndexError, RuntimeError, ValueError)):
            model(input_ids=torch.full((1, expected + 1), 5))


RELATIVE = [("DebertaV2", 40), ("ModernBert", 40), ("Llama", 40), ("T5Encoder", None)]


@pytest.mark.parametrize(("family", "trained"), RELATIVE)
def test_relative_positions_have_no_limit_but_what_the_configuration_says(family, trained):
    if family == "T5Encoder":
        model = transformers.T5EncoderModel(transformers.T5Config(vocab_size=60, d_model=16, num_layers=1, num_heads=2))
    else:
        changes = {"position_biased_input": False, "relative_attention": True} if family == "DebertaV2" else {}
        ids = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
        config = getattr(transformers, f"{family}Config")(**SIZES, **changes, **ids)
        model = getattr(transformers, f"{family}Model")(config)
    with torch.inference_mode():
        model.eval()(input_ids=torch.full((1, 90), 5))
    assert (model_limits(model).positions, model_limits(model).usable) == (None, trained)


LAYERS = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
ENCODER_DECODER = {"d_model": 16, "vocab_size": 60, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, **LAYERS}
LED = {**ENCODER_DECODER, "attention_window": [8], "max_encoder_position_embeddings": 64}


@pytest.mark.parametrize(
    ("head", "expected"), [("ForConditionalGeneration", (64, 16)), ("ForQuestionAnswering", (16, None))]
)
def test_a_model_that_writes_reads_with_its_encoder_and_another_one_with_both_parts(head, expected):
    config = transformers.LEDConfig(**LED, max_decoder_position_embeddings=16)
    limits = model_limits(getattr(transformers, f"LED{head}")(config))
    assert (limits.positions, limits.target_positions) == expected


def test_encoder_and_decoder_of_two_families_have_both_limits():
    encoder = transformers.BertConfig(**SIZES)
    decoder = transformers.BertConfig(**{**SIZES, "vocab_size": 50, "max_position_embeddings": 30})
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    limits = model_limits(transformers.EncoderDecoderModel(config))
    assert limits == ModelLimits(vocabulary=50, positions=40, token_types=2, target_positions=30)


def test_only_texts_that_are_written_need_positions_of_the_decoder():
    limits = ModelLimits(positions=64, target_positions=16)
    assert limits.problem(highest_id=1, max_length=64, max_new_tokens=16) is None
    assert limits.problem(highest_id=1, max_length=64, max_new_tokens=17) == (
        "max_new_tokens is 17, but the model has positions for 16 tokens; use at most 16"
    )


def test_a_module_that_is_no_model_of_transformers_has_no_limits():
    assert model_limits(torch.nn.Linear(2, 2)) == ModelLimits()


def test_windows_longer_than_the_positions_are_refused_with_the_usable_number(tokenizer):
    backend = TorchBackend(tiny_model(TASK), task=TASK)
    tokenizer = type(tokenizer).from_pretrained(tokenizer.name_or_path, model_max_length=4096)
    said = "windows.max_length is 513, but the model has positions for 512 tokens; use at most 512"
    with pytest.raises(ArtefactError, match=re.escape(said)):
        Predictor(Processor(tokenizer, TASK, windows={"max_length": 513}), backend)
    predictor = Predictor(Processor(tokenizer, TASK, windows={"max_length": 512}), backend)
    assert predictor.predict(["Rome " * 1500])[0].coverage.windows > 1


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(tokenizer):
    larger = type(tokenizer).from_pretrained(tokenizer.name_or_path)
    larger.add_tokens(["<url>"])
    assert (highest_token_id(tokenizer), highest_token_id(larger)) == (30521, 30522)
    backend = TorchBackend(tiny_model(TASK), task=TASK)
    said = "token ids up to 30522, but the model has embeddings for 30522 tokens (ids up to 30521)"
    with pytest.raises(ArtefactError, match=re.escape(said)):
        Predictor(Processor(larger, TASK), backend)
    Predictor(Processor(larger, TASK), TorchBackend(tiny_model(TASK, vocab_size=30523), task=TASK))


def test_tokens_that_are_added_later_are_counted_again(tokenizer):
    own = type(tokenizer).from_pretrained(tokenizer.name_or_path)
    assert highest_token_id(own) == 30521
    own.add_tokens(["<one>", "<two>"])
    assert highest_token_id(own) == 30523


def test_special_tokens_are_in_the_vocabulary(tokenizer):
    own = type(tokenizer).from_pretrained(tokenizer.name_or_path)
    own.pad_token = "<pad>"  # noqa: S105
    with pytest.raises(InvalidSpecError, match=r"pad_token '<pad>' of the tokenizer is not in its vocabulary"):
        Processor(own, TASK)
    own.add_special_tokens({"pad_token": "<pad>"})
    assert Processor(own, TASK).layout.pad_token_id == 30522


def test_text_pairs_need_as_many_token_types_as_the_tokenizer_uses(tokenizer):
    model = transformers.BertForSequenceClassification(
        transformers.BertConfig(**{**SIZES, "vocab_size": 30522}, type_vocab_size=1, **TASK.model_settings())
    )
    processor = Processor(tokenizer, TASK, windows={"max_length": 32})
    predictor = Predictor(processor, TorchBackend(model.eval(), task=TASK))
    pair = {"text": "Ana", "text_pair": "Rome"}
    first, failed = predictor.predict(["Ana", pair], on_error="record")
    assert first.predicted is not None
    said = "the tokenizer marks text pairs with 2 token types, but the model has embeddings for 1"
    assert failed.description() == f"document '1' has a text pair, but {said}"
    with pytest.raises(InvalidSpecError, match=f"^{said}; use the model's own tokenizer"):
        check_reads_pairs(processor, model_limits(model))
    without_types = type(tokenizer).from_pretrained(
        tokenizer.name_or_path, model_input_names=["input_ids", "attention_mask"]
    )
    other = Predictor(Processor(without_types, TASK, windows={"max_length": 32}), predictor.backend)
    assert other.predict(pair).predicted is not None
    check_reads_pairs(other.processor, model_limits(model))


class _Failing(TorchBackend):
    """Fails as embeddings do that are too small, of which nothing says so beforehand."""

    def __init__(self, model, *, task, text_length):
        super().__init__(model, task=task)
        self.limits, self.probe_tolerance, self.text_length = ModelLimits(), None, text_length

    def forward(self, batch):
        if batch["input_ids"].shape[1] == self.text_length:
            raise IndexError("index out of range in self")
        return super().forward(batch)


def test_the_check_of_padding_reads_pairs_if_the_task_does_and_no_special_tokens(tokenizer):
    """Longformer, for example, fails on questions whose rows do not have three separators."""

    class Watched:
        rows_apart, probe_tolerance, pad_token_id = False, 1e-3, 0
        batches: ClassVar = []

        def forward(self, batch):
            self.batches.append(batch["input_ids"])
            return {"logits": np.zeros((len(batch["input_ids"]), 1))}

    layout = Processor(tokenizer, QuestionAnswering()).layout
    check_padding(Watched(), layout, highest_id=105, special_ids=tokenizer.all_special_ids, with_pairs=True)
    assert [(batch == tokenizer.sep_token_id).sum(axis=1).tolist() for batch in Watched.batches[1:]] == [[2]] * 4


def test_a_failure_of_the_model_is_never_recorded(tokenizer):
    processor = Processor(tokenizer, TASK)
    predictor = Predictor(processor, _Failing(tiny_model(TASK), task=TASK, text_length=5))
    documents = {"hostile": [Document(id="a", raw_text="Rome"), Document(id="b", raw_text="in old Rome")]}
    with pytest.raises(ArtefactError, match=r"fails on the golden text 'b', 'in old Rome': IndexError: index out of"):
        record_golden(predictor, documents)
    assert len(record_golden(predictor, {"hostile": documents["hostile"][:1]}).records) == 1


def test_numbers_that_are_none_are_a_failure_of_the_model(tokenizer):
    model = tiny_model(TASK)
    model.classifier.weight.data[:] = float("nan")
    backend = TorchBackend(model, task=TASK)
    backend.probe_tolerance = None
    predictor = Predictor(Processor(tokenizer, TASK), backend)
    with pytest.raises(ArtefactError, match=r"fails on the golden text 'a', 'Rome': PredictionError: .* contains NaN"):
        record_golden(predictor, {"hostile": [Document(id="a", raw_text="Rome")]})


def test_a_model_that_fails_on_the_highest_token_is_found_when_it_is_built(tokenizer):
    task = TokenClassification(labels=LABELS)
    backend = TorchBackend(tiny_model(task, vocab_size=1000), task=task)
    layout = Processor(tokenizer, task).layout
    with pytest.raises(ArtefactError, match=r"the model fails on rows of 5, 14, 63, 99 tokens: IndexError: "):
        check_padding(backend, layout, highest_id=30521)
