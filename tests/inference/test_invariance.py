"""Predictions in many ways, and that what depends on order, batches, padding or windows is caught and named."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_models import tiny_model
from typer.testing import CliRunner

from nlp_inference import Annotation, Category, Document, FailedDocument, Predictor, Processor, Relation, Span
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.cli import app
from nlp_inference.golden.findings import FindingsComparison, compare_results
from nlp_inference.golden.invariance import InvarianceReport, VariedBackend, run_invariance

SHORT = ["Ana lives in Rome", "Bo", "", "<b>Łódź</b> and O'Neil", "a b c d e f g h i j", "Rome, Rome and Rome again"]
LONG = "Ana met Bo and Carla in Rome, Oslo and Lima; then they all went to Cairo with Dov, Eva and Finn. " * 3

ARITHMETIC = [
    "reversed order",
    "shuffled order",
    "batches: one row",
    "batches: usual size",
    "batches: large",
    "padding: 1 more",
    "padding: 7 more",
    "padding: 64 more",
    "neighbors: short",
    "neighbors: long",
    "window offsets: texts of one window",
]
VARIANTS = [*ARITHMETIC, "window offsets: longer texts"]

Batch = Mapping[str, NDArray[np.int64]]
Fault = Callable[[NDArray[np.float32], Batch], NDArray[np.float32]]


class FaultyBackend(TorchBackend):
    """A model whose answers are changed by something that they must not depend on."""

    fault: Fault

    def forward(self, batch: Batch) -> dict[str, NDArray[Any]]:
        return {name: self.fault(array, batch) for name, array in super().forward(batch).items()}


def predictor_of(processor: Processor, fault: Fault | None = None) -> Predictor:
    backend = FaultyBackend(tiny_model(processor.task), task=processor.task)
    backend.fault = fault or (lambda logits, batch: logits)
    backend.probe_tolerance = None  # not probed: else the rows of a faulty model would run alone
    return Predictor(processor, backend)


def faults(report: InvarianceReport) -> set[str]:
    return {one.variant for one in report.variants if one.required and not one.same}


@pytest.mark.parametrize("which", ["token_processor", "text_processor"])
def test_a_sound_model_predicts_the_same_in_every_way(which: str, request: pytest.FixtureRequest) -> None:
    report = run_invariance(predictor_of(request.getfixturevalue(which)), [*SHORT, LONG])
    assert [one.variant for one in report.variants] == VARIANTS
    assert report.ok
    assert faults(report) == set()
    assert [one.documents for one in report.variants] == [7] * 10 + [6, 1]
    assert [one.required for one in report.variants] == [True] * 11 + [False]
    assert all(one.largest_score_difference < 1e-5 for one in report.variants if one.required)


def test_a_long_text_cut_elsewhere_is_read_in_another_context_which_is_shown_and_no_fault(
    token_processor: Processor,
) -> None:
    report = run_invariance(predictor_of(token_processor), [*SHORT, LONG])
    cut = report.variants[-1]
    assert (cut.variant, cut.required, cut.differing) == ("window offsets: longer texts", False, ("6",))
    assert cut.only_baseline + cut.only_variant + cut.other_label > 0
    assert (report.ok, report.all_same) == (True, False)


def _depends_on_the_row_above(logits: NDArray[np.float32], batch: Batch) -> NDArray[np.float32]:
    return logits + 9 * np.roll(logits, 1, axis=0) if len(logits) > 1 else logits


def _depends_on_the_place_in_the_batch(logits: NDArray[np.float32], batch: Batch) -> NDArray[np.float32]:
    logits[:, :, 1] += 50 * np.arange(len(logits))[:, None]
    return logits


def _depends_on_padding(logits: NDArray[np.float32], batch: Batch) -> NDArray[np.float32]:
    padded = (batch["attention_mask"] == 0).any(axis=1)
    logits[padded, :, 1] += 50
    return logits


def _depends_on_the_padded_length(logits: NDArray[np.float32], batch: Batch) -> NDArray[np.float32]:
    logits[:, :, 1] += 50 * (logits.shape[1] > 23)
    return logits


FAULTS: dict[str, tuple[Fault, set[str], set[str]]] = {
    "neighbors": (
        _depends_on_the_row_above,
        {"batches: usual size", "batches: large", "neighbors: short", "neighbors: long"},
        {"batches: one row"},
    ),
    "place": (
        _depends_on_the_place_in_the_batch,
        {"reversed order", "batches: usual size", "batches: large", "neighbors: long"},
        {"batches: one row"},
    ),
    "padding": (
        _depends_on_padding,
        {"padding: 1 more", "padding: 7 more", "padding: 64 more", "batches: usual size", "neighbors: long"},
        {"batches: one row"},
    ),
    "padded length": (
        _depends_on_the_padded_length,
        {"padding: 64 more", "neighbors: long"},
        {"batches: one row"},
    ),
}


@pytest.mark.parametrize(("fault", "caught_by", "silent"), FAULTS.values(), ids=FAULTS)
def test_a_model_that_depends_on_what_it_must_not_is_caught_and_the_variant_named(
    token_processor: Processor, fault: Fault, caught_by: set[str], silent: set[str]
) -> None:
    report = run_invariance(predictor_of(token_processor, fault), SHORT)
    assert not report.ok
    assert caught_by <= faults(report)
    assert silent.isdisjoint(faults(report))


def test_a_score_that_moves_beyond_the_tolerance_is_a_fault_although_every_span_stays(
    token_processor: Processor,
) -> None:
    def sharper_when_padded(logits: NDArray[np.float32], batch: Batch) -> NDArray[np.float32]:
        return logits * np.float32(1 + 0.2 * bool((batch["attention_mask"] == 0).any()))

    report = run_invariance(predictor_of(token_processor, sharper_when_padded), SHORT)
    padding = next(one for one in report.variants if one.variant == "padding: 7 more")
    assert padding.differing == ()
    assert padding.largest_score_difference > padding.scores_within == 1e-3
    assert "padding: 7 more" in faults(report)


def test_a_batch_that_fails_is_a_difference(token_processor: Processor) -> None:
    def refuses_padding(logits: NDArray[np.float32], batch: Batch) -> NDArray[np.float32]:
        if not batch["attention_mask"].all():
            raise ValueError("padding")
        return logits

    report = run_invariance(predictor_of(token_processor, refuses_padding), SHORT)
    assert {"padding: 1 more", "padding: 7 more", "padding: 64 more"} == faults(report)  # alone, each row has none
    assert report.variants[5].differing == tuple(map(str, range(len(SHORT))))


def test_other_precisions_are_shown_and_no_fault(token_processor: Processor) -> None:
    predictor = predictor_of(token_processor)
    narrow = TorchBackend(tiny_model(token_processor.task).bfloat16(), task=token_processor.task)
    report = run_invariance(predictor, SHORT, others={"bfloat16": Predictor(token_processor, narrow)})
    last = report.variants[-1]
    assert (last.variant, last.required, last.scores_within) == ("bfloat16", False, 0.2)
    assert last.largest_score_difference > 0
    assert report.ok


def test_another_backend_in_the_same_precision_must_agree(token_processor: Processor) -> None:
    predictor = predictor_of(token_processor)
    wrong = predictor_of(token_processor, lambda logits, batch: logits[..., ::-1])
    report = run_invariance(predictor, SHORT, others={"same": predictor_of(token_processor), "wrong": wrong})
    assert faults(report) == {"wrong"}


def test_nothing_is_required_of_a_model_that_is_not_in_float32(token_processor: Processor) -> None:
    narrow = TorchBackend(tiny_model(token_processor.task).bfloat16(), task=token_processor.task)
    report = run_invariance(Predictor(token_processor, narrow), SHORT)
    assert not any(one.required for one in report.variants)


def test_the_profile_of_what_is_served_is_not_of_experiments(token_processor: Processor) -> None:
    predictor = predictor_of(token_processor)
    run_invariance(predictor, SHORT)
    assert predictor.profile().documents == 0


class Echo:
    """Answers with what it was asked."""

    name, dtype, token_budget, threads = "echo", "float32", 100, 1

    def forward(self, batch: Batch) -> dict[str, NDArray[Any]]:
        return dict(batch)


@pytest.mark.parametrize(("padding", "added"), [(0, 0), (1, 1), (2, 2), (9, 2)])
def test_padding_is_on_the_right_and_ends_at_what_the_model_reads(padding: int, added: int) -> None:
    backend = VariedBackend(Echo(), token_budget=7, padding=padding, pad_token_id=5, max_length=4)
    batch = {"input_ids": np.array([[8, 9]]), "attention_mask": np.array([[1, 1]])}
    asked = {name: array.tolist() for name, array in backend.forward(batch).items()}
    assert asked == {"input_ids": [[8, 9] + [5] * added], "attention_mask": [[1, 1] + [0] * added]}
    assert (backend.token_budget, backend.name, backend.dtype) == (7, "echo", "float32")


def found(**fields: Any) -> Document:
    return Document(raw_text="Ana lives in Rome", predicted=Annotation(**fields))


ANA, ROME = Span(start=0, end=3, label="PERSON", score=0.75), Span(start=13, end=17, label="CITY", score=0.5)
FAILED = FailedDocument(id="0", error="ValueError", message="no")
COMPARED = [
    (found(spans=(ANA, ROME)), found(spans=(ANA, ROME)), FindingsComparison(differs=False)),
    (found(spans=(ANA,)), found(spans=(ANA, ROME)), FindingsComparison(differs=True, only_second=1)),
    (found(spans=(ANA, ROME)), found(), FindingsComparison(differs=True, only_first=2)),
    (
        found(spans=(ANA,)),
        found(spans=(ANA.model_copy(update={"label": "CITY"}),)),
        FindingsComparison(differs=True, other_label=1),
    ),
    (
        found(categories=(Category(label="a", score=0.75),)),
        found(categories=(Category(label="a", score=0.5),)),
        FindingsComparison(differs=False, score_difference=0.25),
    ),
    (
        found(categories=(Category(label="a"), Category(label="b"))),
        found(categories=(Category(label="b"), Category(label="a"))),
        FindingsComparison(differs=True, other_label=2),
    ),
    (
        found(spans=(ANA, ROME), relations=(Relation(head=0, tail=1, label="LIVES"),)),
        found(spans=(ANA, ROME)),
        FindingsComparison(differs=True, only_first=1),
    ),
    (found(values={"x": 1.0}), found(values={"x": 3.0}), FindingsComparison(differs=False, score_difference=2.0)),
    (found(generated=("a",)), found(generated=("b",)), FindingsComparison(differs=True, other_label=1)),
    (FAILED, found(), FindingsComparison(differs=True)),
    (FAILED, FAILED, FindingsComparison(differs=False)),
    (FAILED, FAILED.model_copy(update={"error": "KeyError"}), FindingsComparison(differs=True)),
]


@pytest.mark.parametrize(("one", "other", "expected"), COMPARED)
def test_what_two_predictions_have_in_common(one: Any, other: Any, expected: FindingsComparison) -> None:
    assert compare_results(one, other) == expected


runner = CliRunner()


def _verify(model: Path, *arguments: str, status: int) -> str:
    result = runner.invoke(app, ["verify", str(model), *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == status, result.output
    return result.stdout


@pytest.fixture(scope="module")
def texts_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*SHORT, LONG]), encoding="utf-8")
    return str(path)


def test_the_command_shows_a_table_and_fails_only_where_it_is_asked_to_be_strict(
    saved_model: Path, texts_file: str
) -> None:
    shown = _verify(saved_model, "--invariance", texts_file, status=0)
    for variant in [*VARIANTS, "bfloat16"]:
        assert variant in shown
    assert "differs (allowed)" in shown
    assert shown.rstrip().endswith("\ninvariant")
    strict = _verify(saved_model, "--invariance", texts_file, "--strict", status=1)
    assert "window offsets: longer texts: the documents '6'" in strict
    assert strict.rstrip().endswith("not invariant")


@pytest.mark.parametrize("arguments", [["--invariance"], ["texts.txt"]])
def test_the_flag_and_the_file_of_texts_go_together(saved_model: Path, arguments: list[str]) -> None:
    result = runner.invoke(app, ["verify", str(saved_model), *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "pass both or neither" in result.output


def test_the_command_writes_json(saved_model: Path, texts_file: str) -> None:
    report = json.loads(_verify(saved_model, "--invariance", texts_file, "--json", status=0))
    assert report["ok"] is True
    assert [one["variant"] for one in report["variants"]] == [*VARIANTS, "bfloat16"]
    assert {one["same"] for one in report["variants"] if one["required"]} == {True}


def test_the_command_fails_on_a_model_that_depends_on_its_neighbours(
    saved_model: Path, texts_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = TorchBackend.forward

    def faulty(self: TorchBackend, batch: Batch) -> dict[str, NDArray[Any]]:
        return {name: _depends_on_the_row_above(array, batch) for name, array in forward(self, batch).items()}

    monkeypatch.setattr(TorchBackend, "forward", faulty)
    monkeypatch.setattr("nlp_inference.predict.predictor.check_padding", lambda *_, **__: None)
    shown = _verify(saved_model, "--invariance", texts_file, status=1)
    assert "DIFFERS" in shown
    assert "neighbors: long: the documents '" in shown
    assert shown.rstrip().endswith("not invariant")
