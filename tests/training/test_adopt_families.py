"""Checkpoints of many families and heads become artefacts that verify; what cannot be deduced is refused."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from stock_models import BIO, FAMILIES, edit_config, save_stock
from tiny_models import tiny_t5
from tokenizer_kinds import make_tokenizer
from transformers import LEDConfig, LEDForConditionalGeneration

from nlp_inference import Document, Predictor
from nlp_inference.errors import ArtefactError, InvalidSpecError, OutputError
from nlp_training.adopt import Adoption, AdoptOptions, AmbiguousModelError, UnsupportedModelError, adopt
from nlp_training.adopt.plan import make_plan
from nlp_training.adopt.texts import built_in_texts


def quiet() -> Console:
    return Console(quiet=True)


def plan_of(folder: Path, **options: Any) -> Any:
    return make_plan(str(folder), AdoptOptions(**options), lambda: built_in_texts(pairs=False, questions=False))


def deduced(plan: Any) -> dict[str, str]:
    return {one.subject: one.value for one in plan.deductions}


def adopted(stock: Path, out: Path, **options: Any) -> Adoption:
    return adopt(str(stock), out, options=AdoptOptions(**options), texts=None, console=quiet())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_token_classifier_of_each_family_has_the_logits_of_the_checkpoint(family: str, tmp_path: Path) -> None:
    """Its logits are those of the checkpoint, in the order of the tags of the scheme."""
    stock = save_stock(tmp_path / "stock", family=family, names=("B-LOC", "I-LOC", "O"))
    plan = plan_of(stock, scheme="BIO")
    assert plan.head.rows == (2, 0, 1)
    assert plan.processor.layout.max_length == 64
    batch = plan.processor([Document(raw_text="Ana Silva lives in Rome")])
    inputs = {name: torch.from_numpy(batch[name]) for name in batch}
    with torch.inference_mode():
        before, after = (model(**inputs).logits for model in (plan.head.model, plan.model))
    torch.testing.assert_close(after, before[..., [2, 0, 1]])


@pytest.mark.parametrize("family", ["GPT2"])
def test_a_classifier_of_other_families_becomes_an_artefact_that_verifies(family: str, tmp_path: Path) -> None:
    stock = save_stock(tmp_path / "stock", "SequenceClassification", family=family, names=("bad", "good"))
    found = adopted(stock, tmp_path / "out")
    assert found.verification is not None
    assert found.verification.ok
    assert found.verification.records >= 64
    with Predictor.from_pretrained(tmp_path / "out", verify=True) as predictor:
        [category] = predictor.predict("Ana lives in Rome").predicted.categories
    assert category.label in {"bad", "good"}


SCHEMES = {
    "BIO": "O B-PER I-PER B-LOC I-LOC",
    "BILOU": "O B-PER I-PER L-PER U-PER",
    "BIOES": "O S-PER B-PER E-PER M-PER",
    "IO": "PER LOC O",
    "IOB1": "B-LOC I-LOC I-PER O",
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_is_decoded(scheme: str, tmp_path: Path) -> None:
    stock = save_stock(tmp_path / "stock", names=SCHEMES[scheme].split())
    options = AdoptOptions(scheme="BIO" if scheme == "BIO" else None)
    found = adopt(str(stock), tmp_path / "out", options=options, dry_run=True, console=quiet())
    task: Any = found.plan.task
    assert task.scheme == scheme
    predicted = [text.document.predicted for text in found.comparison.texts]
    spans = [span for one in predicted if one is not None for span in one.spans]
    assert {span.label for span in spans} <= {"PER", "LOC"}
    assert spans


def test_a_token_classifier_becomes_an_artefact_that_verifies(tmp_path: Path) -> None:
    stock = save_stock(tmp_path / "stock", names=SCHEMES["BIOES"].split())
    found = adopted(stock, tmp_path / "out")
    assert found.verification is not None
    assert found.verification.ok
    Predictor.from_pretrained(tmp_path / "out", verify=True)


@pytest.mark.parametrize(("bias", "scheme"), [({1: 9.0, 2: -9.0}, "BIO"), ({1: -9.0, 2: 9.0}, "IOB1")])
def test_bio_and_iob1_are_told_apart_by_predictions(bias: dict[int, float], scheme: str, tmp_path: Path) -> None:
    stock = save_stock(tmp_path / "stock", names=BIO[:3], bias=bias)
    plan = plan_of(stock)
    [found] = [one for one in plan.deductions if one.subject == "tagging scheme"]
    assert (found.value, found.basis) == (scheme, "measured")
    assert "predicted spans begin with B" in found.evidence


def test_tags_that_are_no_spans_are_never_returned(tmp_path: Path) -> None:
    stock = save_stock(tmp_path / "stock", names=("O", "PAD", "B-PER", "I-PER"), bias={1: 9.0})
    plan = plan_of(stock, scheme="BIO")
    assert plan.processor.postprocess.to_spec() == [{"drop_labels": ["PAD"]}]
    assert deduced(plan)["removed labels"] == "PAD"


class TestSequences:
    """Sequence classifiers."""

    @pytest.mark.parametrize(
        ("problem", "names", "task"),
        [
            ("single_label_classification", ("bad", "good"), "text-classification"),
            ("multi_label_classification", ("joy", "fear", "anger"), "multi-label-classification"),
            ("regression", ("stars", "votes"), "text-regression"),
        ],
    )
    def test_the_problem_type_states_the_task(
        self, problem: str, names: tuple[str, ...], task: str, tmp_path: Path
    ) -> None:
        stock = save_stock(tmp_path, "SequenceClassification", names=names, config={"problem_type": problem})
        plan = plan_of(stock)
        assert (plan.task.name, plan.task.labels) == (task, names)

    def test_one_output_may_be_a_number_or_a_probability(self, tmp_path: Path) -> None:
        stock = save_stock(tmp_path, "SequenceClassification", names=("LABEL_0",))
        with pytest.raises(AmbiguousModelError, match=r"one output.*--task text-regression or --task multi-label"):
            plan_of(stock)
        assert plan_of(stock, task="text-regression").task.names == ("score",)
        toxic = plan_of(stock, task="multi-label-classification", labels=("toxic",)).task
        assert toxic.labels == ("toxic",)

    @pytest.mark.parametrize(
        ("activation", "task"), [("Identity", "text-regression"), ("Sigmoid", "multi-label-classification")]
    )
    def test_a_cross_encoder_states_its_activation_and_reads_pairs(
        self, activation: str, task: str, tmp_path: Path
    ) -> None:
        nested = {"activation_fn": f"torch.nn.modules.activation.{activation}"}
        config = {"sentence_transformers": nested}
        stock = save_stock(tmp_path, "SequenceClassification", names=("relevance",), config=config)
        plan = plan_of(stock)
        assert (plan.task.name, plan.head.pairs) == (task, True)

    def test_entailment_is_of_pairs(self, tmp_path: Path) -> None:
        names = ("entailment", "neutral", "contradiction")
        stock = save_stock(tmp_path / "stock", "SequenceClassification", names=names)
        found = adopted(stock, tmp_path / "out")
        assert deduced(found.plan)["input"] == "pairs"
        assert found.plan.task.name == "text-classification"
        assert all(text.document.raw_text_pair for text in found.comparison.texts)
        for name in ("README.md", "adopt.html"):
            assert "text_pair" in (tmp_path / "out" / name).read_text(), "the example has one text"
        records = json.loads((tmp_path / "out" / "golden.json").read_text())["records"]
        assert sum(record.get("raw_text_pair") is not None for record in records) >= 10

    def test_outputs_that_are_all_negative_are_no_softmax(self, tmp_path: Path) -> None:
        names, bias = ("a", "b", "c"), dict.fromkeys(range(3), -9.0)
        stock = save_stock(tmp_path, "SequenceClassification", names=names, bias=bias)
        with pytest.raises(AmbiguousModelError, match=r"100% of the texts no label has a positive logit.*--task"):
            plan_of(stock)

    def test_unnamed_outputs_need_a_map(self, tmp_path: Path) -> None:
        stock = save_stock(tmp_path, "SequenceClassification", names=("LABEL_0", "LABEL_1"))
        with pytest.raises(AmbiguousModelError, match=r"LABEL_0, LABEL_1, the defaults.*--labels a,b,c"):
            plan_of(stock)
        assert plan_of(stock, labels=("bad", "good")).task.labels == ("bad", "good")
        assert plan_of(stock, labels={"LABEL_1": "good", "0": "bad"}).task.labels == ("bad", "good")
        with pytest.raises(InvalidSpecError, match="--labels has 3 names, but the head of the model has 2 outputs"):
            plan_of(stock, labels=("a", "b", "c"))
        with pytest.raises(InvalidSpecError, match="renames 'LABEL_7'"):
            plan_of(stock, labels={"LABEL_7": "x"})

    def test_gaps_in_the_names_are_refused(self, tmp_path: Path) -> None:
        stock = save_stock(tmp_path, "SequenceClassification", names={0: "a", 2: "c"}, rows=3)
        with pytest.raises(AmbiguousModelError, match=r"3 outputs, but id2label of config.json has no name for 1"):
            plan_of(stock)
        assert plan_of(stock, labels={"1": "b"}).task.labels == ("a", "b", "c")

    def test_numbers_of_pairs_agree_with_the_pipeline(self, tmp_path: Path) -> None:
        config = {"problem_type": "regression"}
        stock = save_stock(tmp_path / "stock", "SequenceClassification", names=("LABEL_0",), config=config)
        options = AdoptOptions(pairs=True)
        found = adopt(str(stock), tmp_path / "out", options=options, dry_run=True, console=quiet())
        assert found.comparison.agreeing >= found.comparison.total - 1  # but for the text that is too long


def test_question_answering_verifies(tmp_path: Path) -> None:
    stock = save_stock(tmp_path / "stock", "QuestionAnswering", names=("LABEL_0", "LABEL_1"))
    found = adopted(stock, tmp_path / "out")
    assert found.comparison.title == "argmax of start and end"
    with Predictor.from_pretrained(tmp_path / "out", verify=True) as predictor:
        document = predictor.predict({"context": "Ana lives in Rome.", "question": "Where?"})
    assert document.predicted is not None
    assert "no_answer" in document.predicted.values


@pytest.mark.parametrize(("settings", "expected"), [({}, 32), ({"max_new_tokens": 8}, 8)])
def test_a_text_is_no_longer_than_the_positions_of_the_decoder(
    settings: dict[str, int], expected: int, tmp_path: Path
) -> None:
    """LED reads windows as long as its encoder, and by default writes as much as its decoder, which is shorter."""
    tokenizer = copy.deepcopy(make_tokenizer("roberta"))
    tokenizer.model_max_length = 10**30
    tokenizer.save_pretrained(tmp_path)
    layers: dict[str, Any] = {
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
    }
    sizes: dict[str, Any] = {
        "d_model": 16,
        "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16,
        "attention_window": [8],
        **layers,
    }
    lengths: dict[str, Any] = {"max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 32}
    ids: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3}
    config = LEDConfig(vocab_size=len(tokenizer), **sizes, **lengths, **ids)
    LEDForConditionalGeneration(config).save_pretrained(tmp_path)
    plan = plan_of(tmp_path, settings=settings)
    task: Any = plan.task
    without: Any = plan.processor_without_changes().task
    assert plan.processor.layout.max_length == 64
    assert (task.max_new_tokens, without.max_new_tokens) == (expected, 32)


def test_an_encoder_decoder_states_its_search_and_its_prefix(tmp_path: Path) -> None:
    tokenizer = copy.deepcopy(make_tokenizer("bert uncased"))
    tokenizer.eos_token = "[SEP]"  # noqa: S105 - a token of a text
    model = tiny_t5(len(tokenizer), eos_token_id=3)
    model.generation_config.max_length, model.generation_config.num_beams = 8, 2
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    edit_config(tmp_path, {"task_specific_params": {"summarization": {"prefix": "summarize: "}}})
    task: Any = plan_of(tmp_path).task
    assert (task.num_beams, task.max_new_tokens, task.prefix) == (2, 8, "summarize: ")
    several = {"a": {"prefix": "a: "}, "b": {"prefix": "b: "}}
    edit_config(tmp_path, {"task_specific_params": several})
    with pytest.raises(AmbiguousModelError, match=r"prefix: .*several.*--set prefix="):
        plan_of(tmp_path)
    assert plan_of(tmp_path, settings={"prefix": "c: "}).task.text_prefix == "c: "


class TestInputs:
    """Length, padding, letter case, precision."""

    def test_the_padding_offset_of_positions_is_subtracted(self, tmp_path: Path) -> None:
        stock = save_stock(tmp_path, family="Roberta", tokenizer={"model_max_length": int(1e30)})
        plan = plan_of(stock, scheme="BIO")
        [length] = [one for one in plan.deductions if one.subject == "maximal length"]
        assert length.value == "64 tokens"
        assert length.evidence == (
            "66 position embeddings, of which 2 are used up to the padding row; the tokenizer states no limit"
        )

    def test_a_longer_window_than_the_model_reads_is_refused(self, tmp_path: Path) -> None:
        stock = save_stock(tmp_path)
        assert plan_of(stock, scheme="BIO", max_length=32).processor.layout.max_length == 32
        with pytest.raises(InvalidSpecError, match="--max-length is 100, but the model has positions for 64"):
            plan_of(stock, scheme="BIO", max_length=100)

    def test_a_tokenizer_without_a_padding_token_gets_its_end_of_text_token(self, tmp_path: Path) -> None:
        without = {"pad_token": None, "eos_token": "[SEP]"}
        stock = save_stock(tmp_path, family="GPT2", tokenizer=without)
        plan = plan_of(stock, scheme="BIO")
        assert deduced(plan)["padding token"] == "[SEP]"
        assert plan.model.config.pad_token_id is not None
        neither = save_stock(tmp_path / "neither", family="GPT2", tokenizer={"pad_token": None})
        with pytest.raises(AmbiguousModelError, match=r"neither a padding token nor.*--pad-token"):
            plan_of(neither, scheme="BIO")

    @pytest.mark.parametrize("stated", [0, -1])
    def test_a_tokenizer_that_states_no_length_leaves_it_to_the_model(self, stated: int, tmp_path: Path) -> None:
        stock = save_stock(tmp_path / "stock", names=("O", "B-PER", "I-PER"), tokenizer={"model_max_length": stated})
        plan = plan_of(stock, scheme="BIO")
        assert (deduced(plan)["maximal length"], plan.processor.layout.max_length) == ("64 tokens", 64)

    def test_capitals_that_the_vocabulary_does_not_have_are_refused(self, tmp_path: Path) -> None:
        stock = save_stock(tmp_path)
        path = tmp_path / "tokenizer.json"
        content = json.loads(path.read_text())
        content["normalizer"]["lowercase"] = False
        path.write_text(json.dumps(content))
        edit_config(tmp_path, {"tokenizer_class": "PreTrainedTokenizerFast"}, name="tokenizer_config.json")
        with pytest.raises(AmbiguousModelError, match=r"no token of the vocabulary has a capital.*--lower-case"):
            plan_of(stock, scheme="BIO")
        plan = plan_of(stock, scheme="BIO", lower_case=True)
        assert plan.processor.preprocess.to_spec() == ["lowercase"]
        assert plan_of(stock, scheme="BIO", lower_case=False).processor.preprocess.to_spec() == []

    def test_half_precision_is_loaded_in_float32(self, tmp_path: Path) -> None:
        stock = save_stock(tmp_path / "stock", "SequenceClassification", names=("bad", "good"), dtype="float16")
        found = adopted(stock, tmp_path / "out")
        assert deduced(found.plan)["precision"] == "float32"
        saved = load_file(tmp_path / "out" / "model.safetensors")
        assert {str(tensor.dtype) for tensor in saved.values()} == {"torch.float32"}

    def test_a_prefix_space_is_a_setting_of_the_tokenizer(self, tmp_path: Path) -> None:
        stock = save_stock(tmp_path, family="Roberta")
        assert deduced(plan_of(stock, scheme="BIO"))["space before the text"].startswith("no")


FOREIGN = {
    "spaCy": ({"meta.json": '{"lang": "en", "spacy_version": ">=3.7"}', "config.cfg": "[nlp]"}, "a spaCy pipeline"),
    "GLiNER": ({"gliner_config.json": "{}"}, "a GLiNER model"),
    "SpanMarker": ({"config.json": '{"model_type": "span-marker"}'}, "a SpanMarker model"),
    "embeddings": ({"modules.json": "[]", "config.json": '{"architectures": ["BertModel"]}'}, "embeds texts"),
    "adapter": ({"adapter_config.json": "{}"}, "an adapter without its base model; merge it"),
    "code": ({"config.json": '{"auto_map": {"AutoModel": "x.Y"}}'}, "needs code that is saved with it"),
    "quantized": ({"config.json": '{"quantization_config": {"bits": 8}}'}, "has quantized weights"),
    "no weights": (
        {"config.json": '{"architectures": ["BertForTokenClassification"]}'},
        "has no weights in safetensors",
    ),
    "empty": ({"README.md": ""}, "has no config.json"),
    "damaged": ({"config.json": "{"}, "config.json is not JSON"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_models_of_other_libraries_are_refused(name: str, tmp_path: Path) -> None:
    files, message = FOREIGN[name]
    for file, content in files.items():
        (tmp_path / file).write_text(content)
    with pytest.raises(ArtefactError, match=message):
        plan_of(tmp_path)


class TestClasses:
    """Classes of models."""

    @pytest.mark.parametrize(
        ("architecture", "message"),
        [
            ("BertForMaskedLM", "a language model without a head of a task"),
            ("BertModel", "an encoder without a head"),
            ("BertForMultipleChoice", "for which this library has no task"),
            ("NoSuchForTokenClassification", "a class without a task here"),
        ],
    )
    def test_classes_without_a_task_are_refused(self, architecture: str, message: str, tmp_path: Path) -> None:
        stock = save_stock(tmp_path, config={"architectures": [architecture]})
        with pytest.raises(UnsupportedModelError, match=message):
            plan_of(stock)

    def test_a_checkpoint_that_names_no_class_is_refused(self, tmp_path: Path) -> None:
        stock = save_stock(tmp_path, config={"architectures": None})
        with pytest.raises(AmbiguousModelError, match="has no `architectures`"):
            plan_of(stock)

    def test_a_head_without_weights_is_refused(self, tmp_path: Path) -> None:
        stock = save_stock(tmp_path, config={"architectures": ["BertForSequenceClassification"]})
        with pytest.raises(UnsupportedModelError, match=r"lack .*predictions would be random"):
            plan_of(stock, task="text-classification")

    def test_a_task_of_another_head_is_refused(self, tmp_path: Path) -> None:
        stock = save_stock(tmp_path)
        with pytest.raises(InvalidSpecError, match="can become only token-classification"):
            plan_of(stock, task="text-classification")
        with pytest.raises(InvalidSpecError, match="--task is 'ner', expected one of"):
            plan_of(stock, task="ner")


def test_a_dry_run_writes_nothing_and_an_existing_folder_is_kept(tmp_path: Path) -> None:
    stock = save_stock(tmp_path / "stock")
    options = AdoptOptions(scheme="BIO")
    adopt(str(stock), tmp_path / "out", options=options, dry_run=True, console=quiet())
    assert [path.name for path in tmp_path.iterdir()] == ["stock"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists; choose another folder, or pass --overwrite"):
        adopt(str(stock), tmp_path / "out", options=options, console=quiet())


def test_the_error_of_a_stock_folder_names_the_command(tmp_path: Path) -> None:
    stock = save_stock(tmp_path)
    with pytest.raises(ArtefactError, match="nlp-training adopt"):
        Predictor.from_pretrained(stock)


def test_a_missing_part_of_the_weights_is_not_said_to_be_another_format(tmp_path: Path) -> None:
    folder = save_stock(tmp_path / "stock")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"metadata": {}, "weight_map": {"classifier.bias": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ArtefactError, match=r"model-00002-of-00002\.safetensors is missing; fetch or copy") as caught:
        make_plan(str(folder), AdoptOptions(), list)
    assert "convert" not in str(caught.value)
