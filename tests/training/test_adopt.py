"""Adoption from a stock checkpoint to an artefact: settings by score, comparison, preprocessing, page and command."""

import json
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from made_up_records import label_set_records, span_records, write_jsonl, write_splits
from rich.console import Console
from stock_models import BIO, save_stock
from typer.testing import CliRunner

from nlp_inference import Annotation, Category, Document, Predictor, Processor, Span
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.errors import InvalidSpecError, OutputError
from nlp_inference.tasks import TextRegression, TokenClassification
from nlp_training import load_config, train
from nlp_training.adopt import Adoption, AdoptOptions, adopt
from nlp_training.adopt.causes import CAUSES, Case, cause_of
from nlp_training.adopt.comparison import agreement
from nlp_training.adopt.heads.base import StockPrediction
from nlp_training.adopt.page import marked_passage, render
from nlp_training.adopt.tuning import LEAST_GAIN, Step, _Search, halves
from nlp_training.cli import app
from nlp_training.config import RunConfig
from nlp_training.data import load_documents
from nlp_training.data.errors import InvalidDataError
from nlp_training.release.plan import plan_release

NOT_STOCK = ("processor_config.json", "golden.json", "profile.json", "training.yaml", "metrics.json", "README.md")
PREPROCESS = ("strip_html", "collapse_whitespace")


BIO_OPTIONS = AdoptOptions(scheme="BIO")


def quiet() -> Console:
    return Console(quiet=True)


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A trained model of this library."""
    folder = tmp_path_factory.mktemp("trained")
    config = {
        "name": "spans",
        "output_dir": str(folder / "runs"),
        "cpu_threads": 1,
        "model": {"base": str(tiny_base)},
        "data": write_splits(folder, span_records),
        "processor": {"preprocess": list(PREPROCESS), "task": "token-classification"},
        "training": {"num_train_epochs": 3, "learning_rate": 0.02, "per_device_train_batch_size": 8, "bf16": False},
        "golden": {"records": 2},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield train(RunConfig.model_validate(config), console=quiet(), stays=False).model


@pytest.fixture(scope="module")
def stock(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as transformers saves it."""
    folder = tmp_path_factory.mktemp("stock") / "ner"
    return Path(shutil.copytree(trained, folder, ignore=shutil.ignore_patterns(*NOT_STOCK)))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("data") / "gold.jsonl", span_records("data", 40))


@pytest.fixture(scope="module")
def adopted(stock: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Adoption:
    """The stock model, adopted with data and preprocessing."""
    options = AdoptOptions(scheme="BIO", preprocess=PREPROCESS)
    out = tmp_path_factory.mktemp("out") / "adopted"
    return adopt(str(stock), out, options=options, data=str(data), console=quiet())


def test_a_trained_model_that_is_adopted_again_predicts_the_same(trained: Path, adopted: Adoption) -> None:
    documents = [Document(raw_text=record["text"]) for record in span_records("other", 12)]
    settings = {"aggregation": "first", "words": "unicode", "outside_bias": 0.0, "temperature": 1.0}
    with Predictor.from_pretrained(trained) as original:
        backend, before = original.backend, original.predict(documents)
    plain = adopted.plan.processor
    task: Any = plain.task
    assert {name: getattr(task, name) for name in settings} == settings
    after = Predictor(plain, backend).predict(documents)
    assert [one.predicted for one in after] == [one.predicted for one in before]
    assert any(one.predicted and one.predicted.spans for one in before)


def test_settings_are_chosen_on_one_half_and_scored_on_the_other(adopted: Adoption) -> None:
    tuned = adopted.tuned
    assert tuned is not None
    assert (tuned.documents, tuned.scored, tuned.same_documents) == (20, 20, False)
    steps = [one.name for one in tuned.steps]
    assert steps[:3] == ["preprocess", "words × aggregation", "outside_bias"]
    for step in tuned.steps[1:3]:
        chosen = [one for one in step.trials if one.chosen]
        assert all(one.score > max(other.score for other in step.trials) - LEAST_GAIN for one in chosen)
    assert len(tuned.steps[1].trials) == 12  # all combinations
    assert tuned.after["f1"] >= tuned.before["f1"] - 0.1


def test_the_artefact_is_complete(adopted: Adoption) -> None:
    out = adopted.model
    assert out is not None
    assert adopted.verification is not None
    assert adopted.verification.ok
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["validation"]["f1"] == adopted.tuned.after["f1"]  # type: ignore[union-attr]
    config = load_config(out / "training.yaml")
    assert config.data.split is not None
    assert config.data.split.shares == {"validation": 0.5}
    record = json.loads((out / "adoption.json").read_text())
    assert record["comparison"]["texts"] == 20
    assert [one["subject"] for one in record["deductions"]][:3] == ["task", "labels", "tagging scheme"]
    card = (out / "README.md").read_text()
    assert "Adopted from `a local model` with nlp-inference, without training." in card
    assert (out / "profile.json").is_file()


def test_an_adopted_model_is_published_like_a_trained_one(adopted: Adoption) -> None:
    """The snippets of docs/adopt.md export one."""
    assert adopted.model is not None
    plan = plan_release(adopted.model, "org/ner")
    assert {"model.safetensors", "golden.json", "training.yaml", "README.md"} <= set(plan.release.files)
    assert plan.release.left_out == ("adopt.html",)


def test_the_effect_of_preprocessing_is_counted(stock: Path, tmp_path: Path) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", [{"text": "<p>Ana&nbsp;lives <b>in</b> Rome</p>"}, {"text": "Bo"}])
    options = AdoptOptions(scheme="BIO", preprocess=("strip_html",))
    found = adopt(str(stock), tmp_path / "out", options=options, texts=str(texts), dry_run=True, console=quiet())
    assert found.effect is not None
    assert dict(found.effect.transforms) == {"strip_html": 5}
    assert (found.effect.texts, found.effect.edited) == (2, 1)
    assert list(tmp_path.iterdir()) == [texts]


def test_few_documents_are_said_to_be_the_same_ones(stock: Path, tmp_path: Path) -> None:
    few = write_jsonl(tmp_path / "few.jsonl", span_records("few", 6))
    options = AdoptOptions(scheme="BIO", settings={"aggregation": "mean"})
    console = Console(record=True, width=200, file=StringIO())
    found = adopt(str(stock), tmp_path / "out", options=options, data=str(few), dry_run=True, console=console)
    assert found.tuned is not None
    assert found.tuned.same_documents
    assert not any("aggregation" in step.name for step in found.tuned.steps)  # the user states it
    assert "the same 6 documents that settings were chosen on, so that it is too good" in console.export_text()
    assert found.metrics["validation"].get("fitted", []) == found.tuned.fitted


def test_settings_that_help_only_together_are_found(
    adopted: Adoption, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trying one setting after the other would keep what is assumed."""
    best = {"words": "whitespace", "aggregation": "none"}

    def score_of(_: Any, processor: Processor, outputs: Any) -> float:
        assert outputs
        return 0.9 if {name: getattr(processor.task, name) for name in best} == best else 0.5

    monkeypatch.setattr(_Search, "_score", score_of)
    plan = adopted.plan
    predictor = Predictor(plan.processor_without_changes(), TorchBackend(plan.model, task=plan.task))
    search = _Search(predictor, load_documents(str(data))[:3], keep=(), seed=0)
    search.run()
    task: Any = search.processor.task
    assert (task.words, task.aggregation, task.outside_bias) == ("whitespace", "none", 0.0)
    step = Step("words × aggregation", [one for one in search.trials if one.step == "words × aggregation"])
    assert [(row, values) for row, trials in step.rows for values in [[one.chosen for one in trials]]] == [
        (("unicode",), [False] * 4),
        (("whitespace",), [False, False, False, True]),
        (("tokenizer",), [False] * 4),
    ]


def test_windows_and_overlaps_are_tried_together(stock: Path, tmp_path: Path) -> None:
    records = [{"text": "Ana lives in Rome. " * 200, "spans": [{"start": 0, "end": 3, "label": "PERSON"}]}] * 3
    long = write_jsonl(tmp_path / "long.jsonl", [{"id": str(one), **record} for one, record in enumerate(records)])
    found = adopt(str(stock), tmp_path / "out", options=BIO_OPTIONS, data=str(long), dry_run=True, console=quiet())
    assert found.tuned is not None
    [step] = [one for one in found.tuned.steps if one.name.startswith("window")]
    assert (step.name, step.columns) == ("window × overlap", ["default", "half"])
    kept = AdoptOptions(scheme="BIO", max_length=32)
    found = adopt(str(stock), tmp_path / "out", options=kept, data=str(long), dry_run=True, console=quiet())
    assert found.tuned is not None
    assert not any("window" in one.name for one in found.tuned.steps)  # the user states it


def test_the_same_text_is_never_in_both_halves() -> None:
    documents = [Document(raw_text=f"text {number % 13}") for number in range(60)]
    for seed in range(5):
        chosen_on, scored = ({one.raw_text for one in half} for half in halves(documents, seed=seed))
        assert not chosen_on & scored


def test_only_a_model_is_replaced(stock: Path, adopted: Adoption, tmp_path: Path) -> None:
    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"contains other files than a model, such as 'thesis\.txt'"):
        adopt(str(stock), mine, options=BIO_OPTIONS, overwrite=True, console=quiet())
    with pytest.raises(OutputError, match="is a file; choose a folder"):
        adopt(str(stock), mine / "thesis.txt", options=BIO_OPTIONS, overwrite=True, console=quiet())
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert adopted.model is not None
    model = Path(shutil.copytree(adopted.model, tmp_path / "model"))
    adopt(str(stock), model, options=BIO_OPTIONS, overwrite=True, console=quiet())
    assert not (model / "metrics.json").exists()


def test_labels_of_spans_are_renamed(stock: Path, tmp_path: Path) -> None:
    options = AdoptOptions(scheme="BIO", labels={"CITY": "PLACE"})
    found = adopt(str(stock), tmp_path, options=options, dry_run=True, console=quiet())
    assert "PLACE" in found.plan.task.labels  # type: ignore[attr-defined]
    assert "B-PLACE" in found.plan.head.model.config.id2label.values()
    with pytest.raises(InvalidSpecError, match="renames 'TOWN', which is neither a tag nor a label"):
        adopt(str(stock), tmp_path, options=AdoptOptions(scheme="BIO", labels={"TOWN": "X"}), console=quiet())


def test_data_that_does_not_fit_is_refused(stock: Path, tmp_path: Path) -> None:
    without = write_jsonl(tmp_path / "texts.jsonl", [{"text": "Ana"}])
    with pytest.raises(InvalidDataError, match="no document of --data has gold"):
        adopt(str(stock), tmp_path / "out", data=str(without), console=quiet())
    other = write_jsonl(tmp_path / "x.jsonl", [{"text": "Ana", "spans": [{"start": 0, "end": 3, "label": "GENE"}]}])
    with pytest.raises(InvalidSpecError, match=r"labels of the data are GENE.*--labels OLD=NEW"):
        adopt(str(stock), tmp_path / "out", options=AdoptOptions(scheme="BIO"), data=str(other), console=quiet())


def test_thresholds_and_answers_are_fitted(tmp_path: Path) -> None:
    config = {"problem_type": "multi_label_classification"}
    labels = save_stock(tmp_path / "labels", "SequenceClassification", names=("warm", "hot"), config=config)
    data = write_jsonl(tmp_path / "labels.jsonl", label_set_records("labels", 30))
    found = adopt(str(labels), tmp_path / "out", data=str(data), dry_run=True, console=quiet())
    assert found.tuned is not None
    assert "threshold and thresholds" in found.tuned.changes
    assert found.tuned.after["f1"] > found.tuned.before["f1"]
    assert found.comparison.scores is not None
    assert found.comparison.causes["chosen settings"] > 0

    answers = save_stock(tmp_path / "answers", "QuestionAnswering", names=("LABEL_0", "LABEL_1"))
    gold = [{"text": "Rome", "start": 13}]
    records = [
        {"question": "Where?", "context": "Ana lives in Rome", "answers": gold if one % 2 else []} for one in range(6)
    ]
    data = write_jsonl(tmp_path / "answers.jsonl", [{"id": str(one), **record} for one, record in enumerate(records)])
    found = adopt(str(answers), tmp_path / "out", data=str(data), dry_run=True, console=quiet())
    assert found.tuned is not None
    assert {"max_answer_tokens", "no_answer_threshold"} <= {one.name for one in found.tuned.steps}


LONG = "Ana met Bo. " * 3
BEGIN = Span(start=0, end=3, label="PER")


def case_of(text: str, *, tags: tuple[tuple[int, int, str], ...] = (), **fields: Any) -> Case:
    task = TokenClassification(labels=("PER", "LOC"))
    values = {"plain": None, "has_preprocessing": False, "task": task, "tag_ids": dict(zip(BIO, range(5), strict=True))}
    stock = StockPrediction(Annotation(), read=fields.pop("read", len(text)), tags=tags)
    return Case(document=Document(raw_text=text), stock=stock, **{**values, **fields})


class TestCauses:
    """The cause of a difference between spans."""

    def test_what_the_pipeline_did_not_read(self) -> None:
        late = Span(start=24, end=27, label="PER")
        assert cause_of(case_of(LONG, read=12), (), (late,)) == "truncation"
        assert cause_of(case_of(LONG), (), (late,)) == "other"

    def test_tags_that_the_pipeline_does_not_know(self) -> None:
        assert cause_of(case_of("Ana"), (Span(start=0, end=3, label="U-PER"),), (BEGIN,)) == "unknown tags"

    def test_a_word_in_two(self) -> None:
        assert cause_of(case_of("Anastasia"), (BEGIN,), (Span(start=0, end=9, label="PER"),)) == "cut word"
        assert cause_of(case_of("Zoe\u0308"), (BEGIN,), (Span(start=0, end=4, label="LOC"),)) == "cut word"

    def test_spaces_and_marks_at_an_edge(self) -> None:
        assert cause_of(case_of("Ana lives"), (Span(start=0, end=4, label="PER"),), (BEGIN,)) == "offsets"
        assert cause_of(case_of("Zoe\u0308"), (BEGIN,), (Span(start=0, end=4, label="PER"),)) == "offsets"

    def test_an_invalid_sequence(self) -> None:
        tags = ((0, 3, "O"), (4, 7, "I-PER"), (8, 10, "O"))
        adopted = (Span(start=4, end=7, label="LOC"),)
        assert cause_of(case_of("Ana met Bo", tags=tags), (Span(start=4, end=7, label="PER"),), adopted) == (
            "invalid tag sequence"
        )
        valid = ((0, 3, "O"), (4, 7, "B-PER"), (8, 10, "O"))
        assert cause_of(case_of("Ana met Bo", tags=valid), (Span(start=4, end=7, label="PER"),), adopted) == "other"

    def test_what_the_user_changed(self) -> None:
        plain = Annotation(spans=(BEGIN,))
        assert cause_of(case_of("Ana met Bo", plain=plain), (BEGIN,), ()) == "chosen settings"
        assert cause_of(case_of("Ana met Bo", plain=Annotation()), (BEGIN,), ()) == "other"

    def test_a_sigmoid_on_a_number(self) -> None:
        document = Document(raw_text="Ana").with_predicted(Annotation(values={"score": 0.0}))
        stock = StockPrediction(Annotation(values={"score": 0.5}), read=3)
        task = TextRegression(names=("score",), scaling="none")
        assert cause_of(Case(document, stock, None, False, task, {}), (), ()) == "activation"

    def test_an_error(self) -> None:
        case = case_of("Ana")
        assert cause_of(
            Case(case.document, StockPrediction(None, "IndexError"), None, False, case.task, {}), (), ()
        ) == ("the pipeline fails")


def test_agreement_counts_each_prediction_once() -> None:
    other = Span(start=0, end=3, label="LOC")
    assert agreement(Annotation(spans=(BEGIN,)), Annotation(spans=(BEGIN,))) == (1, 1)
    assert agreement(Annotation(spans=(BEGIN,)), Annotation(spans=(BEGIN, other))) == (1, 2)
    assert agreement(Annotation(spans=(BEGIN,)), Annotation(spans=(other,))) == (0, 2)
    assert agreement(Annotation(), Annotation()) == (1, 1)
    spam, ham = (Annotation(categories=(Category(label=label),)) for label in ("spam", "ham"))
    assert agreement(spam, ham) == (0, 2)


class TestPage:
    """`adopt.html`."""

    def test_it_is_one_file_without_scripts_or_addresses(self, adopted: Adoption) -> None:
        assert adopted.model is not None
        page = (adopted.model / "adopt.html").read_text()
        assert "default-src 'none'" in page
        for forbidden in ("<script", "src=", "@import", "url(", "<link"):
            assert forbidden not in page

    def test_it_shows_each_cause_with_a_filter_and_each_deduction(self, adopted: Adoption) -> None:
        page = render(adopted)
        for index, (cause, count) in enumerate(adopted.comparison.causes.most_common(), start=1):
            assert f'id="cause-{index}"' in page
            assert f"{cause}<small>{count:,}</small>" in page
            assert CAUSES[cause].split(":")[0][:20] in page
        for one in adopted.plan.deductions:
            assert f'<span class="basis {one.basis}">' in page
        assert "Settings chosen on the data" in page
        assert "Preprocessing that was added" in page

    def test_texts_cannot_become_markup(self) -> None:
        text = "<b>Ana</b> & Bo"
        spans = (Span(start=3, end=6, label="<i>", score=0.5),)
        shown = marked_passage(text, spans, spans, start=0, end=len(text), read=10)
        assert "&lt;b&gt;" in shown
        assert "<b>&lt;i&gt;</b><i>0.50</i></mark>" in shown
        assert '<span class="unread"> &amp; Bo</span>' in shown


class TestCommand:
    """`nlp-training adopt`."""

    def test_it_reports_json_and_writes_nothing_in_a_dry_run(self, stock: Path, tmp_path: Path) -> None:
        arguments = ["adopt", str(stock), str(tmp_path / "out"), "--scheme", "BIO", "--dry-run", "--json"]
        done = CliRunner().invoke(app, [*arguments, "--set", "aggregation=max", "--preprocess", "fix_encoding"])
        assert done.exit_code == 0, done.output
        record = json.loads(done.stdout)
        assert record["comparison"]["built_in_texts"]
        given = {one["subject"]: one["value"] for one in record["deductions"] if one["basis"] == "given"}
        assert given == {"tagging scheme": "BIO", "aggregation": "max", "preprocess": "fix_encoding"}
        assert list(tmp_path.iterdir()) == []

    def test_an_ambiguous_model_is_one_line_that_names_the_option(self, tmp_path: Path) -> None:
        folder = save_stock(tmp_path / "stock", "SequenceClassification", names=("LABEL_0", "LABEL_1"))
        done = CliRunner().invoke(app, ["adopt", str(folder), str(tmp_path / "out")])
        assert done.exit_code == 1
        message = " ".join(done.stderr.split())
        assert message.startswith("AmbiguousModelError: labels: config.json names the outputs LABEL_0, LABEL_1")
        assert "state it with --labels a,b,c|FILE" in message

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--set", "mean", "write FIELD=VALUE"),
            ("--set", "aggregation=[mean", "--set has a value that is not YAML"),
            ("--preprocess", "[a", "is not YAML"),
            ("--labels", ",", "no names"),
        ],
    )
    def test_options_that_cannot_be_read_are_refused(self, option: str, value: str, message: str, stock: Path) -> None:
        done = CliRunner().invoke(app, ["adopt", str(stock), "out", option, value])
        assert done.exit_code == 1
        assert message in " ".join(done.stderr.split())
