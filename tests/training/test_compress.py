"""Compression: students of models of every task, and the command from a run to a verified artefact."""

import json
from io import StringIO

import pytest
import torch
from made_up_records import span_records
from rich.console import Console
from stock_models import save_page_material
from tiny_models import tiny_model
from transformers import AlbertConfig, AlbertForSequenceClassification, BertConfig, BertForSequenceClassification
from typer.testing import CliRunner

from nlp_inference import Document, Predictor, Processor
from nlp_inference.architectures import AutoModelForPooledSequenceClassification
from nlp_inference.cli import app as inference
from nlp_inference.errors import InvalidSpecError, OutputError
from nlp_training import train
from nlp_training.cli import app
from nlp_training.compress import Compression, CompressOptions, compress
from nlp_training.compress.candidates import Candidate, SetScore
from nlp_training.compress.choice import choose, pareto_front
from nlp_training.compress.measuring import Measured
from nlp_training.compress.options import plan_students
from nlp_training.compress.page import render
from nlp_training.compress.students import cut_layers, importance_of, narrow
from nlp_training.compress.tables import choice_lines
from nlp_training.compress.teacher import CompressTeacher
from nlp_training.compress.training import artefact_config, train_student
from nlp_training.data.formats import write_jsonl

SILENT = Console(file=StringIO())
QUICK = {"training.max_steps": 2, "training.use_cpu": True, "golden.records": 0}
TASKS = (
    "token_processor",
    "crf_processor",
    "span_processor",
    "relation_processor",
    "text_processor",
    "label_set_processor",
    "ordinal_processor",
    "regression_processor",
    "question_processor",
    pytest.param("multi_processor", marks=pytest.mark.slow),
    "generation_processor",
)


def texts(processor, count=12):
    names, cities = ("Ana", "Bo", "Dov", "Mia"), ("Rome", "Oslo", "Lima")
    documents = [Document(raw_text=f"{names[n % 4]} lives in {cities[n % 3]}, number {n}") for n in range(count)]
    return [processor.task.as_probe(one) for one in documents]


def save(processor, folder, layers=3):
    processor.save_pretrained(folder)
    tiny_model(processor.task, layers=layers).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", TASKS)
def test_a_model_of_every_task_is_compressed_with_texts_alone(name, request, tmp_path, fast_trainings):
    processor = request.getfixturevalue(name)
    teacher = CompressTeacher.load(save(processor, tmp_path / "teacher"))
    write_jsonl(texts(processor), tmp_path / "texts.jsonl")
    documents = teacher.documents(texts=str(tmp_path / "texts.jsonl"), seed=0)
    assert documents.is_agreement
    assert documents.labelled == 0
    for split in ("train", "validation"):
        write_jsonl(getattr(documents, split), tmp_path / f"{split}.jsonl")
    data = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "validation")}
    settings = QUICK | {"distillation.hidden_states": 1.0, "distillation.attentions": 1.0}
    options = CompressOptions(layers=("1",), feed_forward=(16,), epochs=1, settings=settings)
    [plan] = plan_students(teacher.stacks, options)
    model = train_student(
        plan, teacher, documents.train, options, work=tmp_path, data={**data, "max_lost_gold": 1.0}, console=SILENT
    )
    log = json.loads((model / "training_log.json").read_text())
    assert any(entry.get("hidden_states_error", 0) > 0 and entry["attentions_error"] > 0 for entry in log)
    student = Predictor.from_pretrained(model)
    assert len(student.predict([one.unannotated() for one in texts(processor)])) == 12
    assert student.processor.task.name == processor.task.name


@pytest.mark.parametrize(("setting", "pooling"), [("attention", "attention"), (None, "mean")])
def test_the_student_of_a_model_that_pools_tokens_pools_them_alike(text_processor, tmp_path, setting, pooling):
    config = tiny_model(text_processor.task).config
    config.text_pooling = setting
    AutoModelForPooledSequenceClassification.from_config(config).save_pretrained(tmp_path)
    text_processor.save_pretrained(tmp_path)
    trained = artefact_config(CompressTeacher.load(tmp_path), {"train": "train.jsonl"}, base=tmp_path)
    assert trained.model.pooling == pooling


def test_the_student_of_another_model_has_the_head_of_its_family(text_processor, tmp_path):
    teacher = CompressTeacher.load(save(text_processor, tmp_path))
    assert artefact_config(teacher, {"train": "train.jsonl"}, base=tmp_path).model.pooling is None


def bert(layers=4):
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=8, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=16, vocab_size=50
    )
    return BertForSequenceClassification(config).eval()


INPUTS = {"input_ids": torch.tensor([[1, 2, 3]]), "attention_mask": torch.tensor([[1, 1, 1]])}


def test_a_student_is_its_teacher_without_some_layers():
    teacher = bert()
    student = cut_layers(teacher, {"bert.encoder.layer": [0, 2]})
    teacher.bert.encoder.layer = torch.nn.ModuleList([teacher.bert.encoder.layer[0], teacher.bert.encoder.layer[2]])
    assert torch.equal(student(**INPUTS).logits, teacher(**INPUTS).logits)


def test_values_without_importance_can_be_removed_exactly():
    model = bert(1)
    before = model(**INPUTS).logits
    layer = model.bert.encoder.layer[0]
    with torch.no_grad():
        layer.output.dense.weight[:, 4:] = 0
    before = model(**INPUTS).logits
    narrow(model, 4, importance_of(model, [INPUTS]))
    assert model.config.intermediate_size == 4
    assert layer.intermediate.dense.weight.shape == (4, 8)
    assert torch.allclose(model(**INPUTS).logits, before, atol=1e-6)


def test_shared_layers_are_refused():
    config = AlbertConfig(hidden_size=8, num_attention_heads=2, intermediate_size=8, vocab_size=20, embedding_size=8)
    with pytest.raises(InvalidSpecError, match="the layers of a 'albert' model share their weights"):
        cut_layers(AlbertForSequenceClassification(config), {})


@pytest.mark.parametrize(
    ("layers", "said"),
    [(("5",), "the model has 4 layers"), (("2-0",), "ascending order"), (("half",), "write a number of layers")],
)
def test_invalid_layers_are_refused(layers, said):
    with pytest.raises(InvalidSpecError, match=said):
        plan_students({"bert.encoder.layer": 4}, CompressOptions(layers=layers))


def candidate(name, points, speed):
    measured = Measured(documents_per_second=speed, p50=1, p95=2, disk=3, resident=4, start=5)
    scored = SetScore(name="f1", teacher=0.9, value=0.9 - points / 100, drop=points, documents=9)
    return Candidate(student=name, backend="onnx", dtype="int8", layers={}, validation=scored, measured=measured)


def test_the_fastest_within_the_drop_is_chosen():
    found = [candidate("a", 0.1, 10), candidate("b", 0.4, 20), candidate("c", 0.9, 30), candidate("d", 0.2, 5)]
    assert choose(found, max_drop=0.5).candidate.student == "b"
    assert [one.student for one in pareto_front(found)] == ["c", "b", "a"]
    nothing = choose(found, max_drop=0)
    assert (nothing.candidate.student, nothing.reason[:12]) == ("a", "no candidate")


def test_the_page_shows_every_candidate():
    found = Compression("pii", [], [], CompressOptions(), [candidate("a", 0.1, 10), candidate("b", -0.4, 20)])
    found.candidates.append(Candidate(student="c", backend="onnx", dtype="int8", layers={}, refused="a < b"))
    found.choice = choose(found.candidates, max_drop=0.5)
    page = render(found)
    assert "b-onnx-int8" in page
    assert "refused: a &lt; b" in page
    assert page.count("<circle") == 2
    assert [row.split()[0] for row in ("\n".join(map(str, choice_lines(found)))).splitlines()] == ["chosen"]


@pytest.mark.slow  # three fresh processes; the snippet of docs/compress.md compresses a run in every test run
def test_the_command_compresses_a_run(span_run, tmp_path, fast_trainings):
    model = {**span_run.model_dump(exclude_none=True)["model"], "settings": {"num_hidden_layers": 2}}
    run = span_run.model_copy(update={"model": span_run.model.model_copy(update=model)})
    train(run, console=SILENT)
    arguments = ["compress", str(run.folder), "--layers", "1", "--epochs", "4", "--backends", "onnx", "--json"]
    arguments += ["--int8-modes", "dynamic", "--max-drop", "50", "--rounds", "1"]
    planned = CliRunner().invoke(app, [*arguments, "--dry-run"])
    assert planned.exit_code == 0, planned.output
    assert not (tmp_path / "runs" / "spans-compressed").exists()
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    out = tmp_path / "runs" / "spans-compressed"
    record = json.loads((out / "compress.json").read_text())
    names = [one["student"] + one["backend"] + one["dtype"] for one in record["candidates"]]
    assert names == ["layers-0onnxint8", "torchfloat32", "onnxint8"]
    assert all(one["measured"]["documents_per_second"] > 0 for one in record["candidates"])
    assert set(record["candidates"][0]["test"]) == {"test"}
    assert "layers-0-onnx-int8" in (out / "compress.html").read_text(encoding="utf-8")
    assert "## Compression" in (out / "model" / "README.md").read_text(encoding="utf-8")
    verified = CliRunner().invoke(inference, ["verify", str(out / "model"), "--backend", "onnx", "--dtype", "int8"])
    assert verified.exit_code == 0, verified.output
    with pytest.raises(OutputError, match="pass --resume"):
        compress(run.folder, options=CompressOptions(layers=("1",)), console=SILENT)
    resumed = CliRunner().invoke(app, [*arguments, "--resume"])
    assert resumed.exit_code == 0, resumed.output
    assert json.loads((out / "compress.json").read_text()) == record
    with pytest.raises(InvalidSpecError, match="was begun with"):
        compress(run.folder, options=CompressOptions(layers=("2",)), resume=True, console=SILENT)


@pytest.mark.slow  # the commands of docs/compress.md, "From a Hub id to a small verified model"
def test_a_stock_checkpoint_becomes_a_small_verified_model(tmp_path, fast_trainings):
    save_page_material(tmp_path)
    write_jsonl([Document(raw_text=record["text"]) for record in span_records("texts", 60)], tmp_path / "texts.jsonl")
    texts, models = str(tmp_path / "texts.jsonl"), tmp_path / "models"
    adopted = CliRunner().invoke(app, ["adopt", str(tmp_path / "org/ner"), str(models / "ner"), "--scheme", "BIO"])
    assert adopted.exit_code == 0, adopted.output
    arguments = ["compress", str(models / "ner"), "--texts", texts, "--trim-vocabulary", "--max-drop", "50"]
    arguments += ["--layers", "1", "--epochs", "2", "--backends", "onnx", "--int8-modes", "dynamic", "--rounds", "1"]
    compressed = CliRunner().invoke(app, arguments)
    assert compressed.exit_code == 0, compressed.output
    record = json.loads((models / "ner-compressed" / "compress.json").read_text())
    assert record["agreement"]
    served = str(models / "ner-compressed" / "model")
    student = models / "ner-compressed" / "artefacts" / "layers-0-onnx-int8-dynamic"
    before, after = (len(Processor.from_pretrained(one).tokenizer) for one in (models / "ner", student))
    assert after < before
    onnx = ["--backend", "onnx", "--dtype", "int8"]
    verified = CliRunner().invoke(inference, ["verify", served, *onnx])
    assert verified.exit_code == 0, verified.output
    predicted = CliRunner().invoke(inference, ["predict", served, texts, "--output", str(tmp_path / "f.jsonl"), *onnx])
    assert predicted.exit_code == 0, predicted.output
    assert len((tmp_path / "f.jsonl").read_text().splitlines()) == 60
