"""Gold of the kind `text`: what is read, learned, scored, checked and reported of it."""

import json
from io import StringIO

import numpy as np
import pytest
import torch
from datasets import Dataset
from made_up_records import write_jsonl
from rich.console import Console
from tiny_models import tiny_t5
from tokenizer_kinds import make_tokenizer
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration
from typer.testing import CliRunner

from nlp_inference import Annotation, Document, Predictor, Processor, TextGeneration
from nlp_inference.cli import app as inference
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_training import RunConfig, load_documents, train
from nlp_training.cli import app as training
from nlp_training.data import InvalidDataError
from nlp_training.data.checks import check_documents
from nlp_training.data.formats import write_documents
from nlp_training.data_report.check import check_data
from nlp_training.evaluation import evaluate_documents
from nlp_training.gold import gold_kind, greater_is_better
from nlp_training.losses import CrossEntropy, Loss
from nlp_training.metrics import TextBootstrap, TextOverlap
from nlp_training.metrics.text_comparison import chrf, chrf_counts, words_of
from nlp_training.trainer.batch_loss import BatchLoss
from nlp_training.trainer.build import build_checked_processor, build_trainer, resolve_for
from nlp_training.trainer.splits import load_splits

NAMES = ("Ana", "Bo", "José", "Zoë")
CITIES = ("Rome", "Oslo")


def records(size):
    return [
        {
            "id": str(i),
            "text": f"<b>{NAMES[i % 4]}</b> lives in {CITIES[i // 4 % 2]}.",
            "summary": f"{CITIES[i // 4 % 2]} {('José', 'Ana')[i // 4 % 2]}",
        }
        for i in range(size)
    ]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    make_tokenizer("bert cased").save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder, model_input_names=["input_ids", "attention_mask"]).save_pretrained(folder)
    sizes = {"vocab_size": 400, "num_layers": 1, "num_heads": 2, "d_model": 32, "d_kv": 16, "d_ff": 64}
    ids = {"eos_token_id": 3, "pad_token_id": 0, "decoder_start_token_id": 0}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        T5ForConditionalGeneration(T5Config(**sizes, **ids, dropout_rate=0.0)).save_pretrained(folder)
    return folder


def run_of(folder, base, *, task=None, **more):
    data = {name: str(write_jsonl(folder / f"{name}.jsonl", records(16))) for name in ("train", "validation")}
    settings = {"prefix": "write: ", "max_new_tokens": 8, "pipeline_tag": "summarization", **(task or {})}
    return RunConfig.model_validate(
        {
            "name": "texts",
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(base)},
            "data": data,
            "processor": {"preprocess": ["strip_html"], "task": {"text-generation": settings}},
            "training": {"num_train_epochs": 1, "per_device_train_batch_size": 8, "bf16": False},
            **more,
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory, base):
    folder = tmp_path_factory.mktemp("run")
    settings = {"num_train_epochs": 20, "learning_rate": 0.01, "per_device_train_batch_size": 8, "bf16": False}
    config = run_of(
        folder,
        base,
        training={**settings, "eval_strategy": "no", "save_strategy": "no", "lr_scheduler_type": "constant"},
    )
    wrong = {**records(16)[15], "summary": "Oslo Bo"}
    write_jsonl(folder / "validation.jsonl", [*records(15), wrong])
    return config, train(config, console=Console(file=StringIO()))


def test_a_run_goes_the_whole_route(run):
    _, result = run
    scores = result.metrics["validation"]
    assert scores["chrf"] > 0.9
    assert scores["wer"] < 0.1
    assert scores["interval"].keys() >= {"chrf", "rougeL", "cer"}
    verified = CliRunner().invoke(inference, ["verify", str(result.model)])
    assert verified.exit_code == 0, verified.output
    predictor = Predictor.from_pretrained(result.model)
    assert predictor.as_pipeline()("<b>José</b> lives in Oslo.") == [{"summary_text": "Oslo Ana"}]


def test_evaluation_scored_what_production_predicts(run):
    config, result = run
    [file] = (config.folder / "predictions").glob("validation*.jsonl*")
    kept = [json.loads(line)["predicted"]["generated"] for line in file.read_text(encoding="utf-8").splitlines()]
    predictor = Predictor.from_pretrained(result.model, token_budget=100)
    documents = list(load_documents(config.data.validation.path))
    assert [[*one.predicted.generated] for one in predictor.predict([one.raw_text for one in documents])] == kept
    again = evaluate_documents(predictor, documents)
    assert again == result.metrics["validation"]


def test_a_run_shows_texts_in_its_report_and_in_its_card(run):
    config, result = run
    page = (config.folder / "report.html").read_text(encoding="utf-8")
    assert "predictions of characters by gold" in page
    assert "<b>predicted</b> <bdi>Oslo Ana</bdi>" in page
    assert "<b>gold</b> <bdi>Oslo Bo</bdi>" in page
    card = (result.model / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: summarization" in card
    assert "AutoModelForSeq2SeqLM.from_pretrained" in card
    assert "labels" not in card.split("## ")[0].split("# texts")[1]


def test_an_export_is_refused_with_the_reason(run):
    _, result = run
    refused = CliRunner().invoke(training, ["export", str(result.model)])
    assert refused.exit_code == 1
    assert "a model of the task 'text-generation' writes its text token by token" in " ".join(refused.output.split())


@pytest.mark.parametrize("column", ["target", "summary", "translation", "title"])
def test_targets_are_read_from_the_usual_columns(tmp_path, column):
    columns = {} if column != "title" else {"columns": {"target": "title"}}
    path = write_jsonl(tmp_path / "data.jsonl", [{"text": "a", column: "b"}, {"text": "c", column: None}])
    first, second = load_documents({"path": str(path), **columns})
    assert first.gold == Annotation(generated=("b",))
    assert second.gold is None


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_translations_are_read_as_the_hub_has_them(tmp_path, suffix):
    record = {"id": "0", "translation": {"en": "a house", "fr": "une maison"}}
    path = tmp_path / f"data.{suffix}"
    if suffix == "jsonl":
        write_jsonl(path, [record])
    else:
        Dataset.from_list([record]).to_parquet(path)
    columns = {"text": "translation.en", "target": "translation.fr"}
    [document] = load_documents({"path": str(path), "columns": columns})
    assert (document.raw_text, document.gold) == ("a house", Annotation(generated=("une maison",)))
    assert "translation" not in document.metadata
    with pytest.raises((InvalidDataError, InvalidDocumentError), match=r"there is no column 'pair\.en' for 'text'"):
        list(load_documents({"path": str(path), "columns": {"text": "pair.en"}}))


def test_a_target_next_to_another_annotation_is_metadata(tmp_path):
    lines = [{"text": "a", "label": "x", "summary": "b"}, {"text": "a", "label": "x", "target": 1}]
    for line in lines:
        [document] = load_documents(str(write_jsonl(tmp_path / "data.jsonl", [line])))
        assert document.gold.generated == ()
        assert {**document.metadata, **line} == document.metadata | {"text": "a", "label": "x"}
    [document] = load_documents(str(write_jsonl(tmp_path / "data.jsonl", [{"text": "a", "target": 1}])))
    assert (document.gold, document.metadata["target"]) == (None, 1)


def test_a_text_is_no_annotation_without_labels():
    texts = [Document(id="a", raw_text="a", gold=Annotation(generated=("b",)))]
    for needs, said in (("spans", "has no spans, only a text"), ("categories", "has no labels, only a text")):
        with pytest.raises(InvalidDataError, match=said):
            check_documents({"validation": texts}, flat=False, needs=needs)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_targets_are_written_and_read_back(tmp_path, suffix):
    documents = [Document(id="a", raw_text="Ana", gold=Annotation(generated=("b, \n c",)))]
    write_documents(documents, tmp_path / f"data.{suffix}")
    [back] = load_documents(str(tmp_path / f"data.{suffix}"))
    assert (back.raw_text, back.gold) == ("Ana", Annotation(generated=("b, \n c",)))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"summary": " "}, r"document '8' \(.*train.jsonl:9\) has a target that is empty. Write a text, or remove"),
        ({}, r"document '8' \(.*train.jsonl:9\) has no gold annotation"),
        ({"label": "x"}, r"document '8' \(.*train.jsonl:9\) has no text to learn, only 'x'. Give a target"),
        (
            {"raw_text": "a", "gold": {"generated": ["a", "b"]}},
            r"document '8' \(.*train.jsonl:9\) needs exactly one text",
        ),
    ],
)
def test_a_target_that_cannot_be_learned_is_named_before_training(tmp_path, base, record, said):
    config = run_of(tmp_path, base)
    text = {} if "raw_text" in record else {"text": "Ana"}
    write_jsonl(tmp_path / "train.jsonl", [*records(8), {"id": "8", **text, **record}])
    with pytest.raises(InvalidDataError, match=said):
        train(config, console=Console(file=StringIO()))


def test_long_inputs_and_targets_are_named_before_training(tmp_path, base):
    long = {"id": "8", "text": "in " * 70, "summary": "Ana"}
    config = run_of(tmp_path, base)
    write_jsonl(tmp_path / "train.jsonl", [*records(8), long])
    with pytest.raises(
        InvalidDataError, match=r"1 of 9 documents cannot be trained on:\n- .*train.jsonl:9: .* a window has"
    ):
        train(config, console=Console(file=StringIO()))
    joined = run_of(tmp_path, base, task={"windows": "join"})
    write_jsonl(tmp_path / "train.jsonl", [*records(8), long])
    with pytest.raises(InvalidDataError, match=r"train.jsonl:9: has 2 windows, but one target for all of them"):
        train(joined, console=Console(file=StringIO()))
    data = {name: str(tmp_path / f"{name}.jsonl") for name in ("train", "validation")}
    config = run_of(tmp_path, base, data={**data, "max_lost_gold": 0})
    write_jsonl(tmp_path / "train.jsonl", [*records(8), {"id": "8", "text": "Ana", "summary": "Rome " * 20}])
    with pytest.raises(InvalidDataError, match=r"longer than max_new_tokens 1.*increase max_new_tokens of the task"):
        train(config, console=Console(file=StringIO()))


def test_check_data_reports_lengths_and_what_is_lost(tmp_path, base):
    config = run_of(tmp_path, base)
    lost = [
        {"id": "16", "text": "Ana", "summary": "Rome " * 20},
        {"id": "17", "text": "Ana", "summary": "Rome :  Oslo"},
    ]
    write_jsonl(tmp_path / "train.jsonl", [*records(16), *lost])
    check = check_data(config)
    measures = check.splits["train"]
    assert measures.lost_by_cause() == {"longer than max_new_tokens": 1, "the tokenizer does not restore it": 1}
    assert 0.5 < measures.ceiling["chrf"] < 1
    assert measures.distributions()["characters"]["max"] == 100
    findings = {finding.kind: finding for finding in check.findings if finding.split == "train"}
    assert "train.jsonl:17: text 'Rome Rome" in findings["ceiling"].examples[0]
    assert "Rome" not in json.dumps(measures.counts())  # it is published


def test_one_text_with_two_targets_is_a_contradiction(tmp_path, base):
    config = run_of(tmp_path, base)
    write_jsonl(
        tmp_path / "train.jsonl", [*records(8), {"id": "8", "text": records(1)[0]["text"], "summary": "Ana Bo"}]
    )
    assert any(finding.kind == "contradiction" for finding in check_data(config).findings)


def test_scores_are_those_of_the_usual_packages():
    """The expected values are those of sacrebleu 2.6.0 (chrF2), rouge-score 0.1.2 and jiwer 4.0.0."""
    found = ["the cat sat on the mat", "It's 5 o'clock", "", "a dog", "東京に行く", "x"]
    gold = ["the cat is on a mat", "It is 5 o'clock!", "nothing", "a dog", "東京へ行く。", "abcdefgh"]
    scores = TextOverlap().compute(predictions=found, references=gold, resamples=0)
    expected = {"chrf": 0.3860282776333201, "wer": 0.5333333333333333, "cer": 0.4262295081967213}
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    ascii_only = [pair for pair in zip(found, gold, strict=True) if "".join(pair).isascii()]
    scores = TextOverlap().compute(
        predictions=[one for one, _ in ascii_only], references=[one for _, one in ascii_only], resamples=0
    )
    expected = {"rouge1": 0.49333333333333335, "rouge2": 0.34, "rougeL": 0.49333333333333335}
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_words_of_scripts_without_spaces_are_letters():
    assert words_of("東京タワー、ok") == ["東", "京", "タ", "ワ", "ー", "ok"]
    scores = TextOverlap().compute(predictions=["東京に行く"], references=["東京へ行く"], resamples=0)
    assert (scores["rouge1"], scores["rougeL"], scores["cer"]) == (0.8, 0.8, 0.2)


def test_scores_of_nothing_and_of_empty_texts():
    assert TextOverlap().compute(predictions=[""], references=["a b"], resamples=0) == {
        **dict.fromkeys(("chrf", "rouge1", "rouge2", "rougeL", "exact_match"), 0.0),
        "wer": 1.0,
        "cer": 1.0,
        "support": 1,
        "per_label": {},
    }
    same = TextOverlap().compute(predictions=[" a b "], references=["a b"], resamples=0)
    assert (same["chrf"], same["exact_match"], same["wer"], same["cer"]) == (1.0, 1.0, 0.0, 0.0)


def test_counts_of_documents_add_up_and_intervals_contain_the_score():
    found = [f"the cat number {number} sat" for number in range(20)]
    gold = [f"the cat number {number} ran" if number % 3 else one for number, one in enumerate(found)]
    scores = TextOverlap().compute(predictions=found, references=gold)
    total = sum(chrf_counts(one, other) for one, other in zip(found, gold, strict=True))
    assert scores["chrf"] == pytest.approx(chrf(total).item())
    assert all(low <= scores[name] <= high for name, (low, high) in scores["interval"].items())
    order = np.random.default_rng(0).permutation(20)
    again = TextOverlap().compute(predictions=[found[i] for i in order], references=[gold[i] for i in order])
    assert again["interval"] == scores["interval"]


def test_the_directions_of_scores():
    metric = gold_kind("text").metric
    assert metric.best == "chrf"
    assert [name for name in metric.names if not metric.greater_is_better(name)] == ["wer", "cer"]
    assert not greater_is_better("eval_wer")


def test_the_paired_test_is_that_of_chrf():
    gold = [f"the cat number {number}" for number in range(12)]
    worse = [one.replace("cat", "dog") for one in gold]
    found = TextBootstrap().compute(predictions1=worse, predictions2=gold, references=gold, resamples=999)
    first = TextOverlap().compute(predictions=worse, references=gold, resamples=0)["chrf"]
    assert (found["score"], found["first"], found["second"]) == ("chrf", pytest.approx(first), 1.0)
    assert found["p_value"] == 0.001


def test_mistakes_are_sorted_by_their_distance_from_gold():
    kind = gold_kind("text")

    def mistake(found):
        [one] = kind.find_mistakes(Annotation(generated=(found,)), Annotation(generated=("the cat",)))
        return one.name, None if one.predicted is None else round(one.predicted.score, 3)

    assert mistake("the cat ")[0] is None
    assert mistake("the car") < mistake("a dog")
    assert mistake("") == ("missed", None)


@pytest.fixture(scope="module")
def processor(base):
    return Processor(AutoTokenizer.from_pretrained(base), TextGeneration(max_new_tokens=8))


def batch_of(processor):
    documents = [
        Document(raw_text=record["text"], gold=Annotation(generated=(record["summary"],))) for record in records(5)
    ]
    return dict(processor(documents, labels=True, return_tensors="pt"))


def loss_of(spec, processor, model):
    loss = Loss.from_spec(spec)
    return BatchLoss(loss, processor=processor, model=model, documents=None, device="cpu")


def test_losses_of_this_library_read_a_decoder(processor):
    model, batch = tiny_t5(400, eos_token_id=3), batch_of(processor)
    with torch.no_grad():
        own = model(**batch).loss
        mine, outputs = loss_of("cross_entropy", processor, model)(model, batch)
        smoothed, _ = loss_of({"cross_entropy": {"label_smoothing": 0.2}}, processor, model)(model, batch)
    assert mine.item() == pytest.approx(own.item(), rel=1e-6)
    kept = batch["labels"] != -100
    expected = torch.nn.functional.cross_entropy(outputs.logits[kept], batch["labels"][kept], label_smoothing=0.2)
    assert smoothed.item() == pytest.approx(expected.item(), rel=1e-6)


def test_label_smoothing_of_the_trainer_is_that_of_the_loss(processor, base, tmp_path):
    settings = {"num_train_epochs": 1, "per_device_train_batch_size": 8, "bf16": False, "label_smoothing_factor": 0.1}
    config = run_of(tmp_path, base, training=settings)
    splits = load_splits(config)
    made = build_checked_processor(config, splits)
    trainer = build_trainer(resolve_for(config, made, has_validation=True), made, splits)
    batch = batch_of(made)
    with torch.no_grad():
        loss = trainer.compute_loss(trainer.model, dict(batch))
        expected, _ = loss_of({"cross_entropy": {"label_smoothing": 0.1}}, made, trainer.model)(trainer.model, batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mixup", "the loss 'mixup' mixes rows, but a model of the task 'text-generation' reads the target of one row"),
        (
            {"cross_entropy": {"class_weights": "inverse_frequency"}},
            "class_weights counts classes, and the task 'text-",
        ),
    ],
)
def test_losses_that_mean_nothing_are_refused(processor, spec, said):
    with pytest.raises(InvalidSpecError, match=said):
        BatchLoss(
            Loss.from_spec(spec),
            processor=processor,
            model=tiny_t5(400),
            documents=[Document(raw_text="a", gold=Annotation(generated=("b",)))],
            device="cpu",
        )
    assert isinstance(Loss.from_spec("cross_entropy"), CrossEntropy)


def test_a_wrong_target_of_a_named_column_is_an_error(tmp_path):
    path = write_jsonl(tmp_path / "data.jsonl", [{"text": "a", "title": 5}])
    with pytest.raises(InvalidDocumentError, match="target is 5; write the text to generate"):
        list(load_documents({"path": str(path), "columns": {"target": "title"}}))
