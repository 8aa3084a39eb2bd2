"""The page of a run: what it says of made-up predictions, and that it needs and runs nothing else."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from cpu_time import takes_less_than
from made_up_runs import category, make_run, predicted, spans
from rich.console import Console
from typer.testing import CliRunner

from nlp_inference import Annotation, Category, Document
from nlp_inference.document import Coverage
from nlp_training import RunConfig, train
from nlp_training.cli import app
from nlp_training.data.errors import InvalidDataError
from nlp_training.evaluation.prediction_files import kept_predictions
from nlp_training.gold import gold_kind
from nlp_training.provenance.manifest import Replay, RunManifest
from nlp_training.reports.html import write_report

TEXT = "Ana Maria met Bo in Rome near Oslo"
VOID = {"meta", "input", "br"}
RUNS = {"script", "iframe", "object", "embed", "link", "base", "form", "img", "video", "audio", "applet"}

MIXED = [
    predicted(
        TEXT, spans((0, 9, "PERSON"), (14, 16, "PERSON")), spans((0, 9, "PERSON", 0.75), (14, 16, "PERSON", 1.0))
    ),
    predicted(TEXT, spans((0, 9, "PERSON")), spans((0, 3, "PERSON", 0.5)), "boundary"),
    predicted(TEXT, spans((20, 24, "CITY")), spans((20, 24, "PERSON", 0.9)), "label"),
    predicted(TEXT, spans((20, 24, "CITY")), spans((20, 29, "PERSON", 0.8)), "both"),
    predicted(TEXT, spans((14, 16, "PERSON")), spans(), "missed"),
    predicted(TEXT, spans(), spans((30, 34, "CITY", 0.7), (20, 24, "CITY", 0.6)), "spurious"),
]
"""Each kind of mistake once, and two spurious spans."""


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and the text in each."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.handle_data(" ")
        if tag not in VOID:
            self._open.append((tag, dict(attrs).get("id")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for tag, name in self._open:
            if tag in {"section", "header"} and name:
                self.sections[name] = self.sections.get(name, "") + data

    def text(self, section: str) -> str:
        """The words of a section, with single spaces."""
        return " ".join(self.sections.get(section, "").split())

    def classed(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of the elements of a class."""
        return [attributes for _, attributes in self.elements if name in (attributes.get("class") or "").split()]


def page_of(folder: Path) -> Page:
    return Page(write_report(folder))


def test_the_overview_says_what_was_scored_and_chosen(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "demo", {"validation": MIXED, "test": MIXED[:1]}))
    overview = page.text("overview")
    metrics = json.loads((tmp_path / "demo" / "model" / "metrics.json").read_text())
    low, high = metrics["validation"]["interval"]["f1"]
    assert (
        f"validation {metrics['validation']['f1']:.4f} F1 95 % interval {low:.3f}–{high:.3f} · 6 documents" in overview
    )
    assert "test 1.0000 F1 95 % interval 1.000–1.000 · 1 documents" in overview
    assert "task token-classification, 2 labels base model org/base" in overview
    assert "batches 8 windows, group_by_length precision bf16" in overview
    assert "training time 2 min 05 s" in overview


def test_every_kind_of_mistake_is_counted_as_the_metric_counts_it(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "demo", {"test": MIXED}))
    mistakes = page.text("mistakes")
    assert "5 of 6 documents (83.3%) have a mistake" in mistakes
    for kind, count in {
        "wrong label": 1, "wrong boundary": 1, "wrong label and boundary": 1, "missed": 1, "spurious": 2,
    }.items():  # fmt: skip
        assert re.search(rf"\b{kind} {count} ", mistakes), kind
    scores = json.loads((tmp_path / "demo" / "model" / "metrics.json").read_text())["test"]["matching"]["strict"]
    assert (scores["missed"], scores["spurious"], scores["incorrect"]) == (1, 2, 3)


def test_mistakes_are_marked_on_the_raw_text(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", {"test": MIXED[1:2]})
    written = write_report(run).read_text()
    assert "Ana Maria" not in written.partition("<main>")[0]
    marked = re.findall(r'<bdi class="nlpi-chip[^"]*" style="[^"]*" title="([^"]*)"', written)
    assert marked == [
        "gold", "predicted",  # of the group
        "PERSON, characters 0 to 3, score 0.5000", "PERSON, characters 0 to 9",
    ]  # fmt: skip


def test_the_confusion_table_has_the_counts(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "demo", {"test": MIXED}))
    told = [cell["title"] for name in ("right", "wrong") for cell in page.classed(name) if "title" in cell]
    assert sorted(told, key=str) == [
        "gold CITY, predicted PERSON: 2, 100.0% of the row",
        "gold PERSON, predicted PERSON: 3, 75.0% of the row",
        "gold PERSON, predicted nothing: 1, 25.0% of the row",
        "gold nothing, predicted CITY: 2, 100.0% of the row",
    ]


def test_the_table_of_labels_has_the_scores_the_weakest_first(tmp_path: Path) -> None:
    labels = page_of(make_run(tmp_path / "demo", {"test": MIXED})).text("labels")
    row = r"([A-Z]+) (\d\.\d{3}) (\d\.\d{3})–(\d\.\d{3}) (\d\.\d{3}) (\d\.\d{3}) (\d+)"
    rows = [(name, f1, precision, recall, gold) for name, f1, _, _, precision, recall, gold in re.findall(row, labels)]
    assert rows == [("CITY", "0.000", "0.000", "0.000", "2"), ("PERSON", "0.444", "0.400", "0.500", "4")]
    assert "micro average F1 0.3077" in labels


def test_the_curves_are_drawn_from_the_log(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", {"test": MIXED})
    page = page_of(run)
    assert "circle: best F1, 0.7500 at epoch 2" in page.text("learning")
    charts = [
        attributes["aria-label"] for tag, attributes in page.elements if tag == "svg" and "aria-label" in attributes
    ]
    assert charts[:4] == [
        f"{name} by epoch" for name in ("Loss", "Validation scores", "Learning rate", "Gradient norm")
    ]
    tips = re.findall(r"<title>(training loss[^<]*)</title>", write_report(run).read_text())
    assert tips == ["training loss: 0.5 at 1", "training loss: 0.25 at 2"]


def test_calibration_and_times_have_their_numbers(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", {"test": MIXED})
    page = page_of(run)
    scores = json.loads((run / "model" / "metrics.json").read_text())["test"]["calibration"]
    assert (
        f"expected calibration error {scores['ece']:.4f} Brier score {scores['brier']:.4f} predictions 7"
        in page.text("calibration")
    )
    assert "mean 250.0 ms median 250.0 ms" in page.text("speed")
    assert "The 6 slowest documents" in page.text("speed")


@pytest.mark.parametrize("kind", ["text", "label", "id", "split", "run", "word"])
def test_nothing_of_the_data_becomes_markup(tmp_path: Path, kind: str) -> None:
    evil = "</style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&lt;{{7*7}}{% raw %}\u202e\x1b"
    text = evil if kind == "text" else "Ana met Bo"
    label = evil if kind == "label" else "PERSON"
    document = predicted(text, spans((0, 3, label)), spans((4, 7, label, 0.5)), evil if kind == "id" else "d")
    run = make_run(tmp_path / "demo", {evil if kind == "split" else "test": [document]})
    training = run / "model" / "training.yaml"
    if kind in {"run", "word"}:
        told = json.dumps(evil.replace("\u202e", "").replace("\x1b", ""))
        training.write_text(training.read_text().replace("base: org/base", f"base: {told}"))
    page = page_of(run)
    assert RUNS.isdisjoint(tag for tag, _ in page.elements)
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    written = (run / "report.html").read_text()
    assert "49" not in written.partition("<main>")[2].partition('id="learning"')[0]
    assert "\u202e" not in written
    assert "\x1b" not in written


def test_the_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", {"validation": MIXED, "test": MIXED})
    page = page_of(run)
    written = (run / "report.html").read_text()
    assert not re.findall(r"(?:https?:)?//\w|url\(|@import|javascript:", written)
    assert {attributes[name] for _, attributes in page.elements for name in ("href", "src") if name in attributes} == {
        "#overview", "#learning", "#labels", "#confusion", "#calibration", "#mistakes", "#data", "#speed", "#setup",
    }  # fmt: skip
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"overview", "learning", "labels", "confusion", "calibration", "mistakes", "data", "speed", "setup"} <= {
        *ids
    }
    policy = [one["content"] for tag, one in page.elements if tag == "meta" and "http-equiv" in one]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert RUNS.isdisjoint(tag for tag, _ in page.elements)


def test_a_run_that_evaluated_nothing_has_a_page(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "demo", {}, task={"token-classification": {"labels": ["A"]}}, log=[]))
    assert "Nothing was evaluated" in page.text("overview")
    assert set(page.sections) == {"overview", "data", "setup"}


def test_an_empty_data_set_has_a_page(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "demo", {"test": MIXED, "validation": []}))
    assert "validation No documents to score." in page.text("overview")
    assert "No mistakes in 0 documents." in page.text("mistakes")


def test_a_run_without_a_mistake_says_so(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "demo", {"test": MIXED[:1] * 3}))
    assert "No mistakes in 3 documents." in page.text("mistakes")
    assert [one["class"] for one in page.classed("wrong")] == ["swatch wrong"]


def test_without_predictions_the_rest_is_there(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", {"test": MIXED})
    for file in kept_predictions(run):
        file.documents.unlink()
        file.seconds.unlink()
    page = page_of(run)
    assert "No predictions were kept" in page.text("mistakes")
    assert "No times were kept" in page.text("speed")
    assert "PERSON 0.444" in page.text("labels")


def test_a_task_that_is_not_installed_costs_only_what_needs_it(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "demo", {"test": MIXED}, task={"my-own-task": {"size": 3}}))
    assert "my-own-task" in page.text("overview")
    assert "No predictions were kept" in page.text("mistakes")
    assert "PERSON 0.444" in page.text("labels")


def test_categories_are_shown_from_gold_to_predicted(tmp_path: Path) -> None:
    documents = [
        predicted("Where is my card?", category("card"), category("card", 0.9), "a"),
        predicted("Lost my card!", category("lost"), category("card", 0.625), "b"),
        predicted("Gone, again.", category("lost"), category("card", 0.875), "c"),
    ]
    page = page_of(make_run(tmp_path / "demo", {"test": documents}, needs="category"))
    mistakes = page.text("mistakes")
    assert "2 of 3 documents (66.7%) have a mistake" in mistakes
    assert "lost → card 2 Gone, again. c · confidence 0.875 Lost my card! b · confidence 0.625" in mistakes
    assert "test 0.3333 accuracy" in page.text("overview")


def test_of_77_labels_those_with_most_mistakes_are_shown_and_the_others_together(tmp_path: Path) -> None:
    documents = [predicted(f"text {n}", category(f"label-{n:02}"), category(f"label-{n:02}", 0.9)) for n in range(77)]
    documents += [predicted(f"odd {n}", category("label-07"), category("label-70", 0.5), f"odd-{n}") for n in range(9)]
    page = page_of(make_run(tmp_path / "demo", {"test": documents}, needs="category"))
    assert "the 16 labels with the most mistakes; 61 others are merged" in page.text("confusion")
    assert "label-07" in page.text("confusion")
    assert "label-70" in page.text("confusion")
    assert page.text("labels").count("label-") == 77
    assert "3 of 9 shown." in page.text("mistakes")
    assert page.text("labels").index("label-07") < page.text("labels").index("label-70") < 900


def test_a_large_data_set_makes_a_small_page_in_seconds(tmp_path: Path) -> None:
    documents: list[Document] = []
    for number in range(2000):
        found = spans((number % 20, number % 20 + 5, f"L{number % 9}", 0.5))
        documents.append(predicted(f"{TEXT} {'word ' * 50}", spans((3, 9, f"L{number % 7}")), found, f"d{number}"))
    run = make_run(tmp_path / "demo", {"test": documents})
    with takes_less_than(10):
        page = write_report(run)
    assert page.stat().st_size < 300_000


def test_the_report_of_a_real_run_is_written_and_made_again(span_run: RunConfig) -> None:
    said = StringIO()
    train(span_run, console=Console(file=said, width=80))
    page = span_run.folder / "report.html"
    assert f"report {page.resolve().as_uri()}" in said.getvalue()
    first = page.read_text()
    assert "spans" in Page(page).text("overview")
    page.unlink()
    result = CliRunner().invoke(app, ["report", str(span_run.folder / "model")])
    assert result.exit_code == 0
    assert result.stdout == f"report {page.resolve().as_uri()}\n"
    assert page.read_text() == first


def test_a_run_whose_report_cannot_be_written_has_finished_all_the_same(
    span_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise KeyError("a score that nobody knows")

    monkeypatch.setattr("nlp_training.runs.run.write_report", broken)
    said = StringIO()
    train(span_run, console=Console(file=said, width=80))
    assert (
        "the report could not be written: KeyError: 'a score that nobody knows'; the run is complete; to try again: "
        f"nlp-training report {span_run.folder}\n"
    ) in said.getvalue()
    assert RunManifest.load(span_run.folder).status == "finished"


def test_a_run_with_categories_only_has_a_report(label_run: RunConfig) -> None:
    train(label_run, console=Console(file=StringIO()))
    assert "accuracy" in Page(label_run.folder / "report.html").text("overview")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda run: (run / "model" / "metrics.json").unlink(),
            "contains no model/training.yaml with model/metrics.json",
        ),
        (lambda run: (run / "model" / "metrics.json").write_text("{"), "metrics.json is damaged"),
        (lambda run: (run / "model" / "metrics.json").write_text("[]"), "contains list, expected dict"),
        (lambda run: (run / "predictions" / "test.jsonl").write_text("{}\n"), r"test.jsonl:1: "),
    ],
)
def test_what_is_no_run_is_refused_in_a_line(tmp_path: Path, change: object, message: str) -> None:
    run = make_run(tmp_path / "demo", {"test": MIXED})
    change(run)  # type: ignore[operator]
    with pytest.raises(InvalidDataError, match=message):
        write_report(run)
    result = CliRunner().invoke(app, ["report", str(run)])
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_several_categories_are_compared_as_sets() -> None:
    from nlp_training.reports.html.mistakes import Labels, Mistakes

    mistakes = Mistakes(gold_kind("categories"))
    gold = Annotation(categories=(Category(label="a"), Category(label="b")))
    found = Annotation(categories=(Category(label="b", score=0.8), Category(label="c", score=0.7)))
    mistakes.add(predicted("text", gold, found))
    assert dict(mistakes.pairs) == {Labels("b", "b"): 1, Labels("a", None): 1, Labels(None, "c"): 1}
    assert {kind: counts.total() for kind, counts in mistakes.kinds.items()} == {"missed": 1, "spurious": 1}


def test_the_data_section_says_what_the_model_did_not_see(tmp_path: Path) -> None:
    whole = predicted("Ana is in Rome", spans(), spans(), "seen")
    ranges = {"unread": ((20, 25),), "deleted": ((0, 3),), "unknown": ((8, 13),)}
    coverage = Coverage(characters=31, read=18, windows=1, truncated=True, **ranges)
    text = "<b>Ana  ภาษา5 and Paris, a town"
    unseen = Document(id="<cut>", raw_text=text, gold=spans(), predicted=spans(), coverage=coverage)
    page = page_of(make_run(tmp_path / "demo", {"test": [whole, unseen]}))
    data = page.text("data")
    assert "Documents with text that the model did not see 1 of 2 documents; all of them." in data
    assert f"<cut> 31 5 3 5 <b> · {text[8:13]} · {text[20:25].strip()}" in data


def test_documents_that_were_read_completely_are_not_listed(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path / "demo", {"test": MIXED}))
    assert "did not see 1" not in page.text("data")
    assert "Documents with text" not in page.text("data")


@pytest.mark.parametrize(
    ("replay", "said", "looks"),
    [
        (Replay(records=9, bit_for_bit=9), "verified: 9 golden records, alone and in batches, 9 bit for bit", "good"),
        (
            Replay(records=9, bit_for_bit=7, differing=2, first="x: logits differ"),
            "not verified: 2 of 9 golden records differ after the model is loaded",
            "lost",
        ),
        (
            Replay(records=9, bit_for_bit=9, rows_apart=True),
            "evaluation and inference run its rows one at a time",
            "good",
        ),
        (None, "", ""),
    ],
)
def test_the_overview_says_whether_the_saved_model_was_verified(
    tmp_path: Path, replay: Replay | None, said: str, looks: str
) -> None:
    run = make_run(tmp_path / "demo", {"test": MIXED[:1]})
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    hardware = {"system": "Linux", "cpu": "x", "vector": "AVX2", "cores": 2, "threads": 2}
    content = {"id": "1", "name": "demo", "status": "finished", "started_at": begun, "command": ["train"], "seed": 1}
    content |= {"python": "3", "packages": {}, "code": {"version": "1"}, "hardware": hardware, "world_size": 1}
    content |= {"data": {}, "initial_weights": "0", "verification": replay}
    RunManifest.model_validate(content).save(run)
    page = page_of(run)
    assert said in page.text("overview")
    assert ("golden records" in page.text("overview")) == (replay is not None)
    overview = [one for one in page.classed(looks) if one.get("class")] if looks else []
    assert bool(overview) == bool(looks)
