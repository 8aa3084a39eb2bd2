"""Several heads in training: readers, gold for some heads only, losses, scores, fitters, mixing, and a run."""

import json
import subprocess
import sys
from io import StringIO

import pytest
import torch
from made_up_records import LABEL_SETS, span_records, write_jsonl, write_splits
from rich.console import Console
from typer.testing import CliRunner

from nlp_inference import Annotation, Category, Document, MultiTask, Predictor, Span
from nlp_inference.cli import app as inference
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_training import RunConfig, load_documents, train
from nlp_training.augment import Augmentation, Augmenter
from nlp_training.batches.samplers import balancing_weights
from nlp_training.cli import app as training
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.labels import complete_task
from nlp_training.evaluation import choose_fitters
from nlp_training.evaluation.evaluate import compare, paired_test, score
from nlp_training.gold import gold_kind, gold_kind_of, greater_is_better, selection_score
from nlp_training.trainer.build import build_checked_processor, build_trainer, resolve_for
from nlp_training.trainer.splits import load_splits

HEADS = {
    "slots": "token-classification",
    "place": "text-classification",
    "tags": "multi-label-classification",
    "length": "text-regression",
}
TRAINING = {"num_train_epochs": 6, "learning_rate": 0.02, "per_device_train_batch_size": 8, "bf16": False}


def head_records(prefix, size):
    """Sentences with gold for three or four heads each, in turn without spans and without a place."""
    found = []
    for index, record in enumerate(span_records(prefix, size)):
        text, spans = record["text"], record.pop("spans")
        place = "south" if text.endswith(("Rome", "Cairo")) else "north"
        heads = {"slots": {"spans": spans}, "place": {"label": place}, "length": {"score": float(len(text))}}
        heads["tags"] = {"labels": LABEL_SETS["warm"] if place == "south" else []}
        if index % 3:
            del heads["slots" if index % 3 == 1 else "place"]
        found.append({**record, "heads": heads})
    return found


def run_of(folder, base, **more):
    return RunConfig.model_validate(
        {
            "name": "heads",
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(base)},
            "data": write_splits(folder, head_records),
            "processor": {"preprocess": ["strip_html"], "task": {"multi-task": {"heads": HEADS}}},
            "training": TRAINING,
            **more,
        }
    )


@pytest.fixture(scope="module")
def trained(tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    run = run_of(folder, tiny_base, calibrate=True)
    return run, train(run, console=Console(file=StringIO()))


def test_a_run_scores_each_head_with_its_own_gold(trained):
    _, result = trained
    scores = result.metrics["test"]
    assert scores["coverage"]["documents"] == 8
    assert scores["heads"]["slots"]["support"] == 10  # of five documents
    assert scores["heads"]["place"]["support"] == 6
    assert scores["slots_f1"] == scores["heads"]["slots"]["f1"] > 0.9
    assert scores["place_accuracy"] == scores["heads"]["place"]["accuracy"] > 0.9
    best = ["slots_f1", "place_accuracy", "tags_micro_average_precision", "length_r2"]
    assert scores["combined"] == pytest.approx(sum(scores[name] for name in best) / 4)
    assert "tags.thresholds" in result.metrics["validation"]["fitted"]
    assert "place.temperature" in result.metrics["validation"]["fitted"]


def test_the_best_weights_have_the_best_combined_score(trained):
    _, result = trained
    log = json.loads((result.model / "training_log.json").read_text(encoding="utf-8"))
    combined = [entry["eval_combined"] for entry in log if "eval_combined" in entry]
    assert result.metrics["validation"]["combined"] == pytest.approx(max(combined), abs=1e-6)


def test_a_report_has_a_part_for_each_head(trained):
    run, _ = trained
    reported = CliRunner().invoke(training, ["report", str(run.folder)])
    assert reported.exit_code == 0, reported.output
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    for head in HEADS:
        assert f"<bdi>test, {head}</bdi>" in page
    assert "predictions of score by gold" in page


def test_what_is_exported_predicts_without_torch(trained):
    _, result = trained
    exported = CliRunner().invoke(training, ["export", str(result.model), "--dtype", "float32"])
    assert exported.exit_code == 0, exported.output
    for backend in ("torch", "onnx"):
        verified = CliRunner().invoke(inference, ["verify", str(result.model), "--backend", backend])
        assert verified.exit_code == 0, verified.output
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from nlp_inference import Predictor\n"
        f"predictor = Predictor.from_pretrained({str(result.model)!r}, backend='onnx')\n"
        "heads = predictor.predict('<b>Dov</b> lives&nbsp;in Rome', heads=['slots', 'place']).predicted.heads\n"
        "spans = [(span.start, span.end, span.label) for span in heads['slots'].spans]\n"
        "print(spans, heads['place'].categories[0].label)"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[(3, 6, 'PERSON'), (25, 29, 'CITY')] south"


def test_a_card_of_the_model_has_the_scores_of_the_heads(trained):
    _, result = trained
    card = (result.model / "README.md").read_text(encoding="utf-8")
    assert "slots_f1" in card
    assert "as_pipeline(head=" in card


@pytest.mark.slow
def test_learned_weights_are_saved_in_checkpoints_only(tmp_path, tiny_base):
    from safetensors import safe_open

    settings = {**TRAINING, "num_train_epochs": 2, "learning_rate": 0.001}
    run = run_of(tmp_path, tiny_base, loss={"heads": {"weighting": "uncertainty"}}, training=settings)
    result = train(run, console=Console(file=StringIO()))
    [checkpoint, *_] = sorted((run.folder / "checkpoints").glob("checkpoint-*/model.safetensors"))
    with safe_open(checkpoint, "pt") as weights:
        assert weights.get_tensor("head_log_variances").abs().min() > 0
    with safe_open(result.model / "model.safetensors", "pt") as weights:
        assert "head_log_variances" not in weights.keys()  # noqa: SIM118 - no mapping
    log = json.loads((result.model / "training_log.json").read_text(encoding="utf-8"))
    assert [entry for entry in log if "place_loss_weight" in entry]


def trainer_of(run):
    splits = load_splits(run)
    processor = build_checked_processor(run, splits)
    torch.manual_seed(0)
    return build_trainer(resolve_for(run, processor, has_validation=True), processor, splits)


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
def test_a_head_counts_by_its_weight_and_its_own_targets(tmp_path, tiny_base, weighting):
    heads = {"slots": "crf-token-classification", "place": "text-classification", "length": "text-regression"}
    task = {"multi-task": {"heads": heads, "weights": {"place": 3, "length": 0.5}}}
    run = run_of(tmp_path, tiny_base, processor={"task": task}, loss={"heads": {"weighting": weighting}})
    path = write_jsonl(tmp_path / "train.jsonl", [{**one, "heads": _without_tags(one)} for one in head_records("t", 9)])
    run = run.model_copy(update={"data": run.data.model_validate({"train": str(path), "split": {"validation": 0.3}})})
    trainer = trainer_of(run)
    trainer.model.eval()
    documents = trainer.train_dataset
    batch = dict(trainer.processor(documents, labels=True, return_tensors="pt"))
    value, outputs = trainer.batch_loss(trainer.model, batch)
    rows = batch["slots_present"] == 1
    crf = trainer.model.head("slots").crf
    there = batch["place_labels"] != -100
    parts = {
        "slots": crf.loss(outputs["slots_logits"][rows], batch["slots_labels"][rows]),
        "place": torch.nn.functional.cross_entropy(outputs["place_logits"][there], batch["place_labels"][there]),
        "length": torch.nn.functional.mse_loss(outputs["length_logits"], batch["length_labels"]),
    }
    halved = 0.5 if weighting == "uncertainty" else 1.0  # log variances are 0 at the start
    expected = parts["slots"] + 3 * parts["place"] + 0.5 * halved * parts["length"]
    torch.testing.assert_close(value, expected)
    halves = [
        {name: tensor[part] for name, tensor in batch.items()} for part in (slice(0, 3), slice(3, len(documents)))
    ]
    total = trainer.batch_loss.total_weight(halves)
    divided = sum(trainer.batch_loss(trainer.model, half, total)[0] for half in halves)
    torch.testing.assert_close(divided, expected)


def _without_tags(record):
    return {name: one for name, one in record["heads"].items() if name != "tags"}


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("focal", "loss is 'focal', but the task has the heads slots, place, tags, length; write the loss of each"),
        ({"heads": {"losses": {"colour": "focal"}}}, "loss names the head 'colour', but the heads are slots"),
        ({"heads": {"losses": {"length": "focal"}}}, "the loss 'focal' does not read numbers"),
        ({"heads": {"losses": {"place": "r_drop"}}}, "'r_drop' cannot be the loss of the head 'place'"),
    ],
)
def test_a_loss_that_does_not_fit_is_refused(tmp_path, tiny_base, loss, said):
    with pytest.raises(InvalidSpecError, match=said):
        trainer_of(run_of(tmp_path, tiny_base, loss=loss))


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        ({"heads": {"colour": {"label": "red"}}}, "has gold for the head 'colour', but the heads are 'slots', 'place'"),
        ({"spans": []}, "has no gold for any of the heads 'slots', 'place'"),
        ({"heads": {"place": {"labels": ["a", "b"]}}}, r"\(head 'place'\) needs exactly one label, but has 'a', 'b'"),
    ],
)
def test_wrong_gold_is_named_before_training(tmp_path, tiny_base, gold, said):
    run = run_of(tmp_path, tiny_base)
    path = tmp_path / "train.jsonl"
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"id": "odd", "text": "Ana", **gold}) + "\n")
    with pytest.raises(InvalidDataError, match=rf"document 'odd' \(.*train.jsonl:49\) {said}"):
        train(run, console=Console(file=StringIO()))


def test_a_head_that_no_document_annotates_is_named(tmp_path, tiny_base):
    task = {"multi-task": {"heads": {"place": "text-classification", "mood": "text-classification"}}}
    with pytest.raises(InvalidDataError, match="no training document has gold for the head 'mood'"):
        train(run_of(tmp_path, tiny_base, processor={"task": task}), console=Console(file=StringIO()))


def read(tmp_path, *records, **source):
    return load_documents({"path": str(write_jsonl(tmp_path / "heads.jsonl", list(records))), **source})


def test_records_have_the_annotations_of_heads(tmp_path):
    [document] = read(
        tmp_path,
        {
            "text": "Play Ana",
            "heads": {
                "intent": {"label": "play"},
                "mood": None,
                "slots": {"spans": []},
                "stars": {"values": {"fun": 3, "rhythm": None}},
            },
        },
    )
    assert document.gold.heads == {
        "intent": Annotation(categories=(Category(label="play"),)),
        "slots": Annotation(spans=()),
        "stars": Annotation(values={"fun": 3.0}),
    }


def test_columns_of_heads_are_named(tmp_path):
    columns = {"heads": {"intent": {"label": "goal"}, "slots": {"tags": "slot_tags"}}}
    first, second = read(
        tmp_path,
        {"tokens": ["Play", "Ana"], "goal": "play", "slot_tags": ["O", "B-artist"]},
        {"tokens": ["Stop"], "goal": "stop", "slot_tags": None},
        columns=columns,
    )
    assert first.gold.heads["slots"].spans == (Span(start=5, end=8, label="artist"),)
    assert first.gold.spans == ()
    assert second.gold.heads == {"intent": Annotation(categories=(Category(label="stop"),))}


def test_a_column_of_a_csv_file_has_heads_as_json(tmp_path):
    path = tmp_path / "heads.csv"
    path.write_text('text,heads\nPlay,"{""intent"": {""label"": ""play""}}"\n', encoding="utf-8")
    [document] = load_documents(str(path))
    assert document.gold.heads["intent"].categories[0].label == "play"


@pytest.mark.parametrize(
    ("record", "columns", "said"),
    [
        ({"text": "x", "heads": {"intent": "play"}}, {}, "the head 'intent' has 'play'; write a mapping"),
        ({"text": "x", "heads": {"intent": {"lable": "a"}}}, {}, "the head 'intent' has the key 'lable'"),
        ({"text": "x", "heads": {"intent": {"label": ["a"]}}}, {}, "head 'intent': label contains"),
        ({"text": "x"}, {"heads": {"intent": {"label": "goal"}}}, "there is no column 'goal' for 'label' of the head"),
        ({"text": "x", "y": 1}, {"heads": {"intent": {"lable": "y"}}}, "columns.heads.intent has 'lable'; expected"),
    ],
)
def test_wrong_records_of_heads_are_refused(tmp_path, record, columns, said):
    with pytest.raises((InvalidDocumentError, InvalidDataError), match=said):
        read(tmp_path, record, columns=columns)


def annotated(**heads):
    return Annotation(heads=heads)


YES, NO = (Annotation(categories=(Category(label=label),)) for label in ("yes", "no"))
KIND = {"heads": {"kinds": {"a": "category", "b": "values"}}}


def test_scores_have_the_name_of_their_head():
    number = Annotation(values={"n": 1.0})
    golds = [annotated(a=YES), annotated(a=NO), annotated(b=number)]
    found = [annotated(a=YES, b=number)] * 3
    pairs = [(Document(raw_text="x", predicted=one), gold) for one, gold in zip(found, golds, strict=True)]
    scores = score(compare(pairs, needs=KIND), needs=KIND)
    assert scores["a_accuracy"] == scores["heads"]["a"]["accuracy"] == 0.5
    assert scores["b_mae"] == 0.0
    assert scores["heads"]["b"]["support"] == 1
    assert set(scores["per_label"]) == {"a/no", "a/yes"}
    assert scores["combined"] == 0.5  # r2 of one number is unknown


def test_the_combined_score_is_that_of_the_selection():
    kind = {"heads": {"kinds": KIND["heads"]["kinds"], "selection": {"a_accuracy": 1, "b_mae": -0.5}}}
    gold = annotated(a=YES, b=Annotation(values={"n": 1.0}))
    document = Document(raw_text="x", predicted=annotated(a=YES, b=Annotation(values={"n": 3.0})))
    scores = score(compare([(document, gold)], needs=kind), needs=kind)
    assert scores["combined"] == pytest.approx((1 * 1.0 - 0.5 * 2.0) / 1.5)
    wrong = {"heads": {"kinds": KIND["heads"]["kinds"], "selection": {"a_f1": 1}}}
    with pytest.raises(InvalidSpecError, match="selection names 'a_f1', but the scores are a_accuracy"):
        score(compare([(document, gold)], needs=wrong), needs=wrong)


def test_each_head_has_its_own_paired_test():
    pairs = [
        [(Document(raw_text="x", predicted=annotated(a=one)), annotated(a=YES)) for _ in range(3)] for one in (YES, NO)
    ]
    needs = {"heads": {"kinds": {"a": "category"}}}
    result = paired_test(*(compare(one, needs=needs) for one in pairs), needs=needs)
    assert result["heads"]["a"]["first_only"] == 3


def test_the_kind_of_gold_is_composed():
    heads = {"a": {"text-classification": ["yes", "no"]}, "b": {"multi-label-classification": ["x"]}}
    task = MultiTask(heads=heads)
    kind = gold_kind_of(task)
    assert selection_score(task) == "combined"
    assert kind.combined_scores == {"a_accuracy": 1.0, "b_micro_average_precision": 1.0}
    assert kind.labels(annotated(a=YES, b=Annotation(categories=(Category(label="x"),)))) == ["a/yes", "b/x"]
    [mistake] = kind.find_mistakes(annotated(a=NO), annotated(a=YES))
    assert (mistake.gold.label, mistake.predicted.label) == ("a/yes", "a/no")
    assert gold_kind(task.needs) == kind
    assert not greater_is_better("eval_b_mae")


def test_settings_are_learned_from_the_documents_of_each_head():
    golds = [annotated(a=YES), annotated(a=NO), annotated(b=Annotation(values={"n": 2.0}))]
    documents = [Document(raw_text="x", gold=gold) for gold in golds]
    task = complete_task({"multi-task": {"heads": {"a": "text-classification", "b": "text-regression"}}}, documents)
    assert task.heads["a"].labels == ("no", "yes")
    assert (task.heads["b"].names, task.heads["b"].offsets) == (("n",), (2.0,))


def test_fitters_are_those_of_the_heads():
    heads = {"a": {"text-classification": ["yes", "no"]}, "b": {"multi-label-classification": ["x"]}}
    names = ["a.temperature", "b.temperature", "b.threshold", "b.thresholds"]
    chosen = choose_fitters(MultiTask(heads=heads), calibrate=True, has_validation=True)
    assert [field for one in chosen for field in one.fields] == names
    again = choose_fitters(MultiTask(heads=heads), [one.to_spec() for one in chosen], has_validation=True)
    assert again == chosen
    with pytest.raises(InvalidSpecError, match="fit names the head 'c', but the heads are a, b"):
        spec = {"head": {"head": "c", "fitter": "temperature"}}
        choose_fitters(MultiTask(heads=heads), [spec], has_validation=True)


def test_data_sets_are_mixed_by_shares(tmp_path):
    parts = {
        name: str(write_jsonl(tmp_path / f"{name}.jsonl", [{"id": str(one), "text": name} for one in range(size)]))
        for name, size in {"one": 1, "other": 4}.items()
    }
    mix = [{"path": parts["one"], "share": 0.5}, {"path": parts["other"], "share": 0.5}]
    documents = load_documents({"mix": mix})
    assert [document.id for document in documents] == ["0", "1/0", "1", "2", "3"]
    assert balancing_weights(documents, needs=KIND, power=0.0) == [0.5, 0.125, 0.125, 0.125, 0.125]
    assert [one.metadata.get("mix_weight") for one in load_documents({"mix": list(parts.values())})] == [None] * 5
    with pytest.raises(InvalidDataError, match="give each one a share, with the sum 1"):
        load_documents({"mix": [mix[0], parts["other"]]})


def test_a_run_trains_on_a_mix(tmp_path, tiny_base):
    records = head_records("train", 24)
    parts = []
    for head in ("slots", "place"):
        of_head = [{**one, "heads": {head: one["heads"][head]}} for one in records if head in one["heads"]]
        parts.append({"path": str(write_jsonl(tmp_path / f"{head}.jsonl", of_head)), "share": 0.5})
    task = {"multi-task": {"heads": {name: HEADS[name] for name in ("slots", "place")}}}
    settings = {**TRAINING, "num_train_epochs": 8}
    test = write_jsonl(
        tmp_path / "some.jsonl",
        [{**one, "heads": {k: v for k, v in one["heads"].items() if k in ("slots", "place")}} for one in records],
    )
    run = run_of(
        tmp_path,
        tiny_base,
        data={"train": {"mix": parts}, "test": str(test)},
        processor={"task": task},
        training=settings,
    )
    result = train(run, console=Console(file=StringIO()))
    assert result.metrics["test"]["place_accuracy"] > 0.9
    assert Predictor.from_pretrained(result.model).predict("Bo lives in Oslo").predicted.heads["place"].categories


@pytest.mark.parametrize("name", ["join_documents", "shuffle_sentences", "keyboard_typos", "wrap_html"])
def test_augmentations_move_the_spans_of_heads(name):
    city = Annotation(spans=(Span(start=10, end=14, label="CITY"),))
    document = Document(raw_text="She is in Rome. Bo sings.", gold=annotated(slots=city, place=YES))
    other = Document(raw_text="Ana went home.", gold=annotated(slots=Annotation(), place=YES))
    augmenter = Augmenter([Augmentation.from_spec({name: {"probability": 1.0}})], [document, other])
    for epoch in range(3):
        changed = augmenter(document, epoch=epoch).document
        assert changed.raw_text != document.raw_text
        [span] = changed.gold.heads["slots"].spans
        assert changed.surface(span) == "Rome"
        assert changed.gold.heads["place"] == YES


@pytest.mark.parametrize(
    "spec", ["multi-task", {"multi-task": {}}, {"multi-task": {"tasks": {"a": "text-regression"}}}]
)
def test_a_task_without_heads_is_told_the_key(spec):
    with pytest.raises(InvalidSpecError, match=r"task 'multi-task': heads: Field required"):
        complete_task(spec, [])
