"""Suggestions for annotation tools, their order, and the corrections that come back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_records import write_jsonl
from stock_models import save_stock
from typer.testing import CliRunner

from nlp_inference import Annotation, Category, Document, Predictor, Span
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.errors import InvalidSpecError, OutputError
from nlp_inference.tasks import MultiLabelClassification, QuestionAnswering
from nlp_training.adopt import AdoptOptions
from nlp_training.adopt.plan import make_plan
from nlp_training.annotate import (
    annotate,
    count_corrections,
    decision_probabilities,
    is_unchanged,
    join_suggestions,
    uncertainty,
    write_corrections_page,
)
from nlp_training.annotate.page import label_rows, parts_by_uncertainty
from nlp_training.cli import app
from nlp_training.data import load_documents
from nlp_training.data.errors import InvalidDataError

TEXTS = ["Ana lives in Rome", "Bo met Ana!", "Bo met Ana", "Zoë and José", "Nothing"]
FORMATS = {"label-studio": "tasks.json", "doccano": "tasks.jsonl", "prodigy": "tasks.jsonl", "brat": "tasks"}


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A token classifier with random weights, whose predictions are not certain."""
    stock = save_stock(tmp_path_factory.mktemp("stock"))
    plan = make_plan(str(stock), AdoptOptions(scheme="BIO"), list)
    return Predictor(plan.processor, TorchBackend(plan.model, task=plan.task))


def documents() -> list[Document]:
    return [Document(id=f"d{number}", raw_text=text, metadata={"n": number}) for number, text in enumerate(TEXTS)]


def test_uncertainty_is_that_of_the_least_certain_decisions() -> None:
    certain, even = [1.0, 0.0], [0.5, 0.5]
    assert uncertainty(np.array([certain] * 9 + [even] * 3), "entropy") == pytest.approx(1.0)
    assert uncertainty(np.array([certain, even]), "margin") == pytest.approx(0.5)
    assert uncertainty(np.zeros((0, 3)), "entropy") == 0.0


def test_tasks_without_probabilities_can_only_be_sorted_at_random() -> None:
    with pytest.raises(InvalidSpecError, match=r"'question-answering' have no probabilities.*--sort random"):
        decision_probabilities(QuestionAnswering(), None)  # type: ignore[arg-type]
    assert decision_probabilities.dispatch(MultiLabelClassification).__name__ == "_of_labels"


@pytest.mark.parametrize("format_name", FORMATS)
def test_corrections_come_back_with_what_was_suggested(format_name: str, predictor: Predictor, tmp_path: Path) -> None:
    out = tmp_path / FORMATS[format_name]
    found = annotate(predictor, documents(), out, format_name=format_name)
    assert (found.documents, found.annotated, found.similar) == (5, 0, 1)
    suggested = load_documents({"path": str(found.suggestions)})
    assert all(one.gold is None and one.predicted is not None for one in suggested)
    exported = load_documents({"path": str(out), "format": format_name})
    back = list(join_suggestions(exported, suggested))
    predicted = {one.id: one.predicted for one in predictor.predict(documents())}
    for one in back:
        assert one.predicted is not None
        assert [(span.start, span.end, span.label) for span in one.predicted.spans] == [
            (span.start, span.end, span.label) for span in predicted[one.id].spans
        ]
        assert one.metadata["n"] == int(str(one.id)[1:])
        assert (one.gold is None) is (format_name == "label-studio")
        assert is_unchanged(one) is (format_name != "label-studio")


def test_the_most_uncertain_come_first_and_similar_ones_last(predictor: Predictor, tmp_path: Path) -> None:
    for sort in ("entropy", "margin"):
        annotate(predictor, documents(), tmp_path / f"{sort}.jsonl", format_name="prodigy", sort=sort)
        suggested = load_documents({"path": str(tmp_path / f"{sort}.suggestions.jsonl")})
        values = [one.metadata["uncertainty"] for one in suggested[:-1]]
        assert values == sorted(values, reverse=True)
        assert suggested[-1].raw_text in {"Bo met Ana!", "Bo met Ana"}
        assert [one.id for one in suggested] == [f"{number:06}" for number in range(5)]
    orders = []
    for seed in (0, 0, 1):
        out = tmp_path / "random.jsonl"
        annotate(predictor, documents(), out, format_name="prodigy", sort="random", seed=seed, overwrite=True)
        orders.append([one.raw_text for one in load_documents({"path": str(out), "format": "prodigy"})])
    assert orders[0] == orders[1] != orders[2]


def test_gold_is_never_mixed_with_suggestions(predictor: Predictor, tmp_path: Path) -> None:
    gold = documents()[0].model_copy(update={"gold": Annotation(spans=(Span(start=0, end=3, label="PER"),))})
    out = tmp_path / "tasks.jsonl"
    found = annotate(predictor, [gold, *documents()[1:]], out, format_name="doccano", limit=2)
    assert (found.documents, found.annotated) == (2, 1)
    assert gold.raw_text not in out.read_text()
    with pytest.raises(OutputError, match="exists; choose another path"):
        annotate(predictor, documents(), out, format_name="doccano")
    with pytest.raises(InvalidSpecError, match="expected one of entropy, margin, random"):
        annotate(predictor, documents(), tmp_path / "x", format_name="doccano", sort="best")  # type: ignore[arg-type]


def test_corrections_are_counted_by_label() -> None:
    ana, rome = Span(start=0, end=3, label="PER"), Span(start=13, end=17, label="LOC")
    text, metadata = "Ana lives in Rome", {"original_id": "a", "needs": "spans"}
    suggestion = Document(id="0", raw_text=text, predicted=Annotation(spans=(ana, rome)), metadata=metadata)
    person = rome.model_copy(update={"label": "PER"})
    corrected = Document(id="0", raw_text=text, gold=Annotation(spans=(ana, person)))
    renumbered = Document(id="77", raw_text=text, gold=Annotation(spans=(ana,)))
    back = list(join_suggestions([corrected, renumbered], [suggestion]))
    assert [one.id for one in back] == ["a", "a"]
    found = count_corrections(back, needs="spans")
    assert (found.documents, found.untouched) == (2, 0)
    assert found.kept == {"PER": 2}
    assert dict(found.changed) == {("wrong label", "LOC", "PER"): 1, ("spurious", "LOC", None): 1}
    with pytest.raises(InvalidDataError, match="not among the 1 suggestions"):
        list(join_suggestions([Document(raw_text="other")], [suggestion]))


def test_the_page_counts_each_label_and_shows_texts_as_text(tmp_path: Path) -> None:
    text = "Ana <script>alert(1)</script> lives in Rome"
    ana, rome = Span(start=0, end=3, label="PER"), Span(start=39, end=43, label="<LOC>")
    person, city = rome.model_copy(update={"label": "PER"}), Span(start=36, end=43, label="<LOC>")
    golds = [(ana, rome), (ana, person), (ana, city), (rome,), (ana, rome, Span(start=4, end=12, label="NEW")), ()]
    documents = [
        Document(
            id=str(number),
            raw_text=text,
            gold=Annotation(spans=gold),
            predicted=Annotation(spans=(ana, rome)),
            metadata={"uncertainty": 1 - number / 10},
        )
        for number, gold in enumerate([*golds, golds[0], golds[0]])
    ]
    documents.append(Document(raw_text=text, predicted=Annotation(spans=(ana,))))
    found = count_corrections(documents, needs="spans")
    rows = {row.label: row[1:] for row in label_rows(found)}
    # kept, boundaries, relabeled, removed, added
    assert rows == {"PER": (6, 0, 0, 2, 0), "<LOC>": (5, 1, 1, 1, 0), "NEW": (0, 0, 0, 0, 1)}
    parts = list(parts_by_uncertainty(documents))
    assert [(one.documents, one.changed) for one in parts] == [(2, 1), (2, 2), (2, 2), (2, 0)]
    page = write_corrections_page(documents, tmp_path / "round 1.html", needs="spans").read_text()
    assert "<title>round 1 · corrections</title>" in page
    assert "&lt;script&gt;alert(1)" in page
    for forbidden in ("<script", "src=", "@import", "url(", "<link"):
        assert forbidden not in page
    for kind in ("wrong label", "wrong boundary", "spurious", "missed"):
        assert f"<summary><b>{kind}</b>" in page
    with pytest.raises(OutputError, match="exists; choose another path"):
        write_corrections_page(documents, tmp_path / "round 1.html", needs="spans")


@pytest.mark.parametrize(
    ("needs", "suggested", "given"),
    [
        ("category", Annotation(categories=(Category(label="a"),)), Annotation(categories=(Category(label="b"),))),
        ("values", Annotation(values={"score": 1.0}), Annotation(values={"score": 3.0})),
        ("text", Annotation(generated=("One",)), Annotation(generated=("Two",))),
        (
            {"heads": {"kinds": {"tags": "spans", "topic": "category"}}},
            Annotation(heads={"topic": Annotation(categories=(Category(label="a"),))}),
            Annotation(heads={"topic": Annotation(categories=(Category(label="b"),)), "tags": Annotation()}),
        ),
    ],
)
def test_every_kind_of_gold_has_a_page(needs: Any, suggested: Annotation, given: Annotation, tmp_path: Path) -> None:
    documents = [Document(raw_text="text", predicted=suggested, gold=one) for one in (suggested, given)]
    page = write_corrections_page(documents, tmp_path / "page.html", needs=needs).read_text()
    assert '<p class="big">1<small>of 2</small></p>' in page
    assert "<summary><b>" in page


def test_the_commands_write_suggestions_and_report_corrections(tmp_path: Path, saved_model: Path) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", [{"id": text, "text": text} for text in TEXTS])
    out = tmp_path / "tasks.jsonl"
    done = CliRunner().invoke(app, ["annotate", str(saved_model), str(texts), str(out), "--format", "doccano"])
    assert done.exit_code == 0, done.output
    assert "5 suggestions in" in " ".join(done.output.split())
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    lines[0]["label"] = []
    out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    sidecar = tmp_path / "tasks.suggestions.jsonl"
    arguments = ["convert", str(out), str(tmp_path / "gold.jsonl"), "--from", "doccano", "--suggestions", str(sidecar)]
    page = tmp_path / "corrections.html"
    done = CliRunner().invoke(app, [*arguments, "--drop-unchanged", "--report", str(page)])
    assert done.exit_code == 0, done.output
    assert "documents are annotated" in " ".join(done.output.split())
    assert "Kept as suggested" in page.read_text()
    for missing in (["--suggestions", str(sidecar)], []):
        done = CliRunner().invoke(app, ["convert", str(out), str(tmp_path / "x"), "--report", str(page), *missing])
        assert done.exit_code == 1
        message = "already exists" if missing else "--report requires --suggestions"
        assert message in " ".join(done.stderr.split())
    [changed] = load_documents({"path": str(tmp_path / "gold.jsonl")})
    assert changed.gold == Annotation()
    assert changed.predicted is not None
