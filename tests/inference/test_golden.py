"""Golden records: what is recorded, how a file of them is read, and what verifying says."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import tiny_model
from typer.testing import CliRunner

from nlp_inference import Document, Predictor, Processor, TextClassification
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.cli import app
from nlp_inference.document import Annotation, Category, Coverage
from nlp_inference.errors import ArtefactError, VerificationError
from nlp_inference.golden import (
    GoldenFile,
    GoldenRecord,
    read_golden,
    record_artefact,
    record_golden,
    require_verified,
    select_documents,
    verify,
)
from nlp_inference.golden.compare import first_difference
from nlp_inference.golden.hostile import HOSTILE_TEXTS
from nlp_inference.golden.outputs import full_output, numbers_of
from nlp_inference.golden.schema import GOLDEN_FILE, MAX_BYTES, STAGES, Failed, Final
from nlp_inference.golden.tolerance import Tolerance, tolerance_of
from nlp_inference.transforms.base import Transform

runner = CliRunner()
TEXTS = ("Ana   lives in <b>Rome</b>", "CafÃ© Łódź")


@pytest.fixture(scope="module")
def predictor(token_processor: Processor) -> Predictor:
    return Predictor(token_processor, TorchBackend(tiny_model(token_processor.task), task=token_processor.task))


@pytest.fixture(scope="module")
def golden(predictor: Predictor) -> GoldenFile:
    documents = [Document(id=text, raw_text=text) for text in TEXTS]
    return record_golden(predictor, {"file": documents})


@pytest.fixture(scope="module")
def enough(predictor: Predictor, golden: GoldenFile) -> GoldenFile:
    """The two records, and those of the hostile texts."""
    hostile = record_golden(predictor, select_documents([], predictor.processor))
    return golden.model_copy(update={"records": (*golden.records, *hostile.records)})


@pytest.fixture
def folder(saved_model: Path, golden: GoldenFile, tmp_path: Path) -> Path:
    """The saved model with two golden records."""
    for path in saved_model.iterdir():
        (tmp_path / path.name).symlink_to(path)
    golden.write(tmp_path)
    return tmp_path


def test_a_record_has_every_stage_of_its_document(predictor: Predictor, golden: GoldenFile) -> None:
    record = golden.records[0]
    [document] = predictor.predict([TEXTS[0]])
    [encoded] = predictor.processor.encode([document.unannotated()])
    [row] = predictor.processor.rows(encoded)
    assert record.edits is not None
    assert record.edits.text == document.edits
    assert [edits.transform for edits in record.edits.text] == ["strip_html", "collapse_whitespace"]
    assert record.ids is not None
    assert list(record.ids.ids) == encoded.token_ids.tolist()
    assert list(record.ids.places.head) == encoded.offsets.ravel().tolist()
    [window] = record.windows or ()
    assert (window.start, window.end, window.owned_start, window.owned_end) == encoded.windows[0]
    assert [*window.before, *record.ids.ids, *window.after] == row.input_ids.tolist()
    [outputs] = record.logits or ()
    logits = predictor.backend.forward(predictor.processor.layout.pad([row]))["logits"][0]
    assert outputs["logits"].shape == logits.shape
    assert outputs["logits"].dtype == "float32"
    assert outputs["logits"].digest == sha256(logits.astype("<f4").tobytes()).hexdigest()
    assert numbers_of(outputs["logits"]).tolist() == logits.ravel().tolist()
    assert outputs["logits"].largest == np.abs(logits).max()
    assert record.final is not None
    assert record.final.coverage == document.coverage
    assert [span.label for span in record.final.annotation.spans] == [span.label for span in document.predicted.spans]
    assert record.failed is None


def test_what_is_written_is_read_again(golden: GoldenFile, tmp_path: Path) -> None:
    golden.write(tmp_path)
    assert read_golden(tmp_path) == golden


def test_a_second_text_is_recorded_with_its_edits_and_ids(text_processor: Processor) -> None:
    predictor = Predictor(text_processor, TorchBackend(tiny_model(text_processor.task), task=text_processor.task))
    document = Document(id="pair", raw_text="Is it Rome?", raw_text_pair="It is.")
    [record] = record_golden(predictor, {"validation": [document]}).records
    assert record.document() == document
    assert record.ids is not None
    assert record.ids.pair_ids == tuple(text_processor.encode([document])[0].pair_ids.tolist())


def test_the_hostile_texts_alone_are_enough_and_each_is_there_for_something(token_processor: Processor) -> None:
    hostile = select_documents([], token_processor)["hostile"]
    assert len(hostile) >= 32
    assert len({document.raw_text for document in hostile}) == len(hostile) == len({one.id for one in hostile})
    texts = {document.id: document.raw_text for document in hostile}
    assert texts["hostile: empty"] == ""
    assert texts["hostile: white space"].isspace()
    windows = {one.document.id: len(one.windows) for one in token_processor.encode(hostile)}
    assert windows["hostile: longer than three windows"] > 3
    assert windows["hostile: a long word"] > 1
    joined = "".join(HOSTILE_TEXTS.values())
    assert all(character in joined for character in "\x00\u00a0\u200d\u0301“ﬁＡ👍א\u202e<&Ã")


def test_documents_are_sampled_by_the_seed_and_lose_all_but_their_texts(token_processor: Processor) -> None:
    validation = [
        Document(raw_text=f"text {number}", id=f"secret {number}", metadata={"who": "Ana"}, gold=Annotation())
        for number in range(99)
    ]
    one, again, other = (select_documents(validation, token_processor, records=5, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one["validation"] != other["validation"]
    assert [document.id for document in one["validation"]] == [f"validation: {number}" for number in range(5)]
    assert all(document == Document(raw_text=document.raw_text, id=document.id) for document in one["validation"])


@pytest.mark.parametrize(("records", "drawn"), [(0, 0), (2, 2), (40, 3)])
def test_as_many_documents_are_drawn_as_asked_for_if_there_are_so_many(
    token_processor: Processor, records: int, drawn: int
) -> None:
    validation = [Document(raw_text=text) for text in "abc"]
    assert len(select_documents(validation, token_processor, records=records)["validation"]) == drawn


def test_texts_that_would_make_the_file_large_are_not_drawn(token_processor: Processor) -> None:
    validation = [Document(raw_text="a" * 50_000), Document(raw_text="b" * 50_000), Document(raw_text="c")]
    drawn = select_documents(validation, token_processor)["validation"]
    assert sorted(len(document.raw_text) for document in drawn) == [1, 50_000]


def test_the_users_own_documents_are_all_recorded(token_processor: Processor) -> None:
    chosen = select_documents([], token_processor, records=0, own=[Document(raw_text="mine", id="x")])
    assert chosen["file"] == [Document(raw_text="mine", id="file: 0")]


def test_an_artefact_that_predicts_as_recorded_verifies(folder: Path, enough: GoldenFile) -> None:
    enough.write(folder)
    verification = require_verified(folder)
    count = len(enough.records)
    assert (verification.ok, verification.records, verification.bit_for_bit) == (True, count, count)
    assert verification.by_stage() == [(stage, count, 0) for stage in STAGES]
    assert verification.largest_deviation == 0
    assert Predictor.from_pretrained(folder, verify=True).predict(["Ana"])


def _forge(folder: Path, change: Any) -> None:
    """Change the first golden record, as if another machine had recorded it."""
    path = folder / GOLDEN_FILE
    content = json.loads(path.read_text())
    change(content["records"][0])
    path.write_text(json.dumps(content))


def test_a_difference_is_raised_at_load_and_names_record_stage_place_and_both_values(
    folder: Path, enough: GoldenFile
) -> None:
    enough.write(folder)
    _forge(folder, lambda record: record["ids"]["ids"].__setitem__(1, 7))
    differ = rf"1 of {len(enough.records)} records differ"
    said = rf"'Ana   lives in <b>Rome</b>' differs in 'ids': token 1: recorded 7, now \d+ \({differ}\)"
    with pytest.raises(VerificationError, match=said):
        Predictor.from_pretrained(folder, verify=True)
    with pytest.raises(VerificationError, match=said):
        require_verified(folder)
    Predictor.from_pretrained(folder)


DIFFERENCES = {
    "another edit": (
        lambda one: one["edits"]["text"][1]["edits"].__setitem__(0, [3, 5, " "]),
        "edits",
        "transform 'collapse_whitespace', edit 0",
        [3, 5, " "],
        [3, 6, " "],
    ),
    "another transform": (
        lambda one: one["edits"]["text"].pop(0),
        "edits",
        "transform 0 of those that changed the text",
        "collapse_whitespace (version 1)",
        "strip_html (version 2)",
    ),
    "a token more": (lambda one: one["ids"]["ids"].append(9), "ids", "token 4", 9, None),
    "another place of a token": (
        lambda one: one["ids"]["places"].update(digest="0" * 64),
        "ids",
        "token offsets in the text, after the first 8 values, digest",
        "0" * 64,
        "5f",
    ),
    "another window": (lambda one: one["windows"][0].update(owned_end=3), "windows", "window 0, owned_end", 3, 4),
    "other special tokens": (lambda one: one["windows"][0].update(after=[]), "windows", "window 0, after", [], [102]),
    "a window less": (lambda one: one["windows"].clear(), "windows", "number of windows", 0, 1),
    "another span": (
        lambda one: one["decoded"]["spans"][0].update(label="ELSE"),
        "decoded",
        "spans[0].label",
        "ELSE",
        "PERSON",
    ),
    "a span more": (
        lambda one: one["final"]["annotation"]["spans"].append({"start": 0, "end": 1, "label": "X"}),
        "final",
        "spans[",
        {"start": 0, "end": 1, "label": "X", "score": None},
        None,
    ),
    "another coverage": (
        lambda one: one["final"]["coverage"].update(windows=5),
        "final",
        "coverage.windows",
        5,
        1,
    ),
    "an error then": (
        lambda one: one.update(failed={"stage": "edits", "error": "PatternTimeoutError"}),
        "edits",
        "an error",
        "PatternTimeoutError",
        None,
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_first_stage_that_differs_is_told_with_both_values(folder: Path, name: str) -> None:
    change, stage, where, expected, actual = DIFFERENCES[name]
    _forge(folder, change)
    _forge(folder, lambda record: record["final"]["coverage"].update(characters=1))  # a later stage is not told
    [difference] = verify(Predictor.from_pretrained(folder), read_golden(folder)).differences
    assert (difference.record, difference.stage) == (TEXTS[0], stage)
    if name != "another coverage":
        assert difference.where.startswith(where)
        assert difference.expected == expected
        if name != "another place of a token":
            assert difference.actual == actual


def _output(values: Any, dtype: str = "float32") -> dict[str, Any]:
    return {"logits": ({"logits": full_output(np.array(values, dtype=dtype))},)}


def _record(**stages: Any) -> GoldenRecord:
    return GoldenRecord(id="a", origin="file", raw_text="", **stages)


TIGHT = Tolerance(absolute=0.01, relative=0.0, score=0.01)
LONG = [float(number % 7) for number in range(6400)]


@pytest.mark.parametrize(
    ("one", "other", "where"),
    [
        ([1.0, 2.0], [1.0, 2.0], None),
        ([1.0, 2.0], [1.005, 2.005], None),
        ([1.0, 2.0], [1.0, 2.02], "window 0, logits, value [1]"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "window 0, logits, shape"),
        ([1.0, float("nan")], [1.0, float("nan")], None),
        ([1.0, 2.0], [1.0, float("nan")], "window 0, logits, value [1]"),
        ([1.0, float("-inf")], [1.0, float("-inf")], None),
        ([1.0, float("-inf")], [1.0, 2.0], "window 0, logits, value [1]"),
        ([1.0, 2.0], [1.0, float("inf")], "window 0, logits, value [1]"),
        ([float("inf")], [float("-inf")], "window 0, logits, value [0]"),
        (LONG, [*LONG[:-1], 9.0], "window 0, logits, value [6399]"),
        (LONG, [*LONG[:-2], LONG[-1], LONG[-2]], "window 0, logits, value [6398]"),
        (LONG, LONG[::-1], "window 0, logits, value [0]"),
        ([], [], None),
    ],
)
def test_logits_are_compared_within_the_tolerance_wherever_they_differ(
    one: list[float], other: list[float], where: str | None
) -> None:
    difference = first_difference(_record(**_output(one)), _record(**_output(other)), TIGHT)
    assert (difference and difference.where) == where
    if difference is not None:
        assert difference.stage == "logits"


def test_coverage_of_an_earlier_version_is_compared_without_what_it_did_not_know() -> None:
    known = {"characters": 9, "windows": 1, "unread": ((0, 1),)}
    old = Final(annotation=Annotation(), coverage=Coverage(read=8, **known))
    now = Coverage(read=3, deleted=((2, 5),), unknown=((7, 9),), **known)
    new = Final.of(Document(raw_text="", coverage=now))
    assert old.coverage_version == 1
    assert Final.model_validate_json(new.model_dump_json(exclude_defaults=True)) == new
    assert first_difference(_record(final=old), _record(final=new), TIGHT) is None
    before = new.model_copy(update={"coverage_version": 2})
    other = new.model_copy(update={"coverage": now.model_copy(update={"unread": ((0, 2),), "windows": 2})})
    for earlier in (old, before):
        difference = first_difference(_record(final=earlier), _record(final=other), TIGHT)
        assert difference is not None
        assert difference.where == "coverage.windows"
    lost = new.model_copy(update={"coverage": now.model_copy(update={"deleted": (), "read": 6})})
    difference = first_difference(_record(final=new), _record(final=lost), TIGHT)
    assert difference is not None
    assert difference.where == "coverage.read"


def test_whole_numbers_have_no_tolerance() -> None:
    loose = Tolerance(10.0, 10.0, 10.0)
    one, other = (_record(**_output([1, number], "int64")) for number in (2, 3))
    assert first_difference(one, one, loose) is None
    difference = first_difference(one, other, loose)
    assert difference is not None
    assert difference.where == "window 0, logits, value [1]"


def _categories(*scores: tuple[str, float]) -> dict[str, Any]:
    return {"decoded": Annotation(categories=tuple(Category(label=label, score=score) for label, score in scores))}


@pytest.mark.parametrize(
    ("recorded", "now", "where"),
    [
        ([("a", 0.6), ("b", 0.4)], [("a", 0.595), ("b", 0.405)], None),
        ([("a", 0.6), ("b", 0.4)], [("a", 0.58), ("b", 0.42)], "categories[0].score"),
        ([("a", 0.5), ("b", 0.5)], [("b", 0.5), ("a", 0.5)], "categories[0].label"),
        ([("a", 0.8), ("b", 0.1), ("c", 0.1)], [("a", 0.8), ("c", 0.1), ("b", 0.1)], None),
        ([("a", 0.7), ("b", 0.2), ("c", 0.1)], [("a", 0.7), ("c", 0.2), ("b", 0.1)], "categories[1].label"),
        ([("a", 0.7)], [("a", 0.7), ("b", 0.2)], "categories[1]"),
    ],
)
def test_categories_behind_the_best_may_change_places_only_where_scores_tell_no_order(
    recorded: list[tuple[str, float]], now: list[tuple[str, float]], where: str | None
) -> None:
    difference = first_difference(_record(**_categories(*recorded)), _record(**_categories(*now)), TIGHT)
    assert (difference and difference.where) == where


def test_the_looser_tolerance_of_two_precisions_counts(saved_model: Path, golden: GoldenFile) -> None:
    verification = verify(Predictor.from_pretrained(saved_model, dtype="bfloat16"), golden)
    assert verification.logits_within == tolerance_of("torch", "bfloat16").absolute
    assert (verification.dtype, verification.recorded_dtype, verification.bit_for_bit) == ("bfloat16", "float32", 0)
    assert not [one for one in verification.differences if one.stage == "logits"]
    again = golden.model_copy(update={"dtype": "bfloat16"})
    assert verify(Predictor.from_pretrained(saved_model), again).logits_within == 0.25


def test_a_backend_without_a_stated_tolerance_is_an_error(predictor: Predictor, golden: GoldenFile) -> None:
    with pytest.raises(ArtefactError, match="no tolerance is defined for the backend 'abacus' in 'float32'"):
        verify(predictor, golden.model_copy(update={"backend": "abacus"}))


class _Refuses(Transform):
    """Fails of a certain word."""

    name = "refuses_rome_in_test_golden"

    def propose(self, text: str) -> str:
        if "Rome" in text:
            raise RuntimeError(f"cannot read {text}")
        return text


def test_a_document_that_fails_is_recorded_and_must_fail_there_again(token_processor: Processor) -> None:
    backend = TorchBackend(tiny_model(token_processor.task), task=token_processor.task)
    refuses = Predictor(Processor(token_processor.tokenizer, token_processor.task, [_Refuses()]), backend)
    accepts = Predictor(Processor(token_processor.tokenizer, token_processor.task), backend)
    documents = {"hostile": [Document(id="a", raw_text="Rome"), Document(id="b", raw_text="Bo")]}
    golden = record_golden(refuses, documents)
    assert golden.records[0].failed == Failed(stage="edits", error="RuntimeError")
    assert golden.records[1].failed is None
    verification = verify(refuses, golden)
    assert (verification.ok, verification.failing) == (True, 1)
    [difference] = verify(accepts, golden).differences
    assert (difference.record, difference.stage, difference.expected, difference.actual) == (
        "a",
        "edits",
        "RuntimeError",
        None,
    )
    [difference] = verify(refuses, record_golden(accepts, documents)).differences
    assert (difference.stage, difference.actual) == ("edits", "RuntimeError: cannot read Rome")


def test_a_text_for_which_a_second_one_leaves_no_room_fails_at_the_windows(tokenizer: Any) -> None:
    task = TextClassification(labels=("no", "yes"))
    processor = Processor(tokenizer, task, windows={"max_length": 8})
    predictor = Predictor(processor, TorchBackend(tiny_model(task), task=task))
    document = Document(id="a", raw_text="Rome", raw_text_pair="Ana met Bo in Rome on the fifth of May")
    [record] = record_golden(predictor, {"validation": [document]}).records
    assert record.failed == Failed(stage="windows", error="InvalidDocumentError")
    assert record.edits is not None


def test_a_users_document_that_fails_is_an_error_when_it_is_recorded(saved_model: Path, tmp_path: Path) -> None:
    for path in saved_model.iterdir():
        (tmp_path / path.name).symlink_to(path)
    settings = json.loads((saved_model / "processor_config.json").read_text())
    (tmp_path / "processor_config.json").unlink()
    settings["preprocess"] = [{"replace_regex": {"pattern": "(a+)+b", "timeout": 0.05}}]
    (tmp_path / "processor_config.json").write_text(json.dumps(settings))
    slow = Document(id="file: 0", raw_text="a" * 5000)
    with pytest.raises(ArtefactError, match="golden record 'file: 0' cannot be predicted: PatternTimeoutError"):
        record_artefact(tmp_path, {"hostile": [Document(id=str(n), raw_text="") for n in range(31)], "file": [slow]})
    assert not (tmp_path / GOLDEN_FILE).exists()


def test_fewer_than_32_records_are_refused_where_they_are_recorded_and_where_they_are_to_vouch(folder: Path) -> None:
    documents = [Document(id=str(number), raw_text="Ana") for number in range(31)]
    with pytest.raises(ArtefactError, match=r"31 golden records are too few .* at least 32 .*select_documents"):
        record_artefact(folder, {"file": documents})
    with pytest.raises(
        ArtefactError, match=r"has 2 golden records, which are too few .* 32 .*record_artefact\(folder\)"
    ):
        require_verified(folder)
    another = Document(id="31", raw_text="Bo")
    (folder / GOLDEN_FILE).unlink()
    assert len(record_artefact(folder, {"hostile": documents, "file": [another]}).records) == 32
    assert require_verified(folder).records == 32


def test_more_records_than_are_read_are_refused_before_one_is_made(predictor: Predictor) -> None:
    document = Document(id="a", raw_text="Ana")
    with pytest.raises(ArtefactError, match=r"4097 documents are too many .* limit is 4096. .* golden\.file"):
        record_golden(predictor, {"file": [document] * 4097})


def test_records_that_could_not_be_told_apart_are_refused(predictor: Predictor) -> None:
    document = Document(id="a", raw_text="Ana")
    with pytest.raises(ArtefactError, match=r"golden records are invalid: two records have the id 'a'"):
        record_golden(predictor, {"file": [document, document]})


def test_a_file_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    failed = Failed(stage="edits", error="PatternTimeoutError")
    record = GoldenRecord(id="a", origin="file", raw_text="a" * MAX_BYTES, failed=failed)
    golden = GoldenFile(format_version=2, backend="torch", dtype="float32", records=(record,))
    with pytest.raises(
        ArtefactError, match=r"1 golden records take 167\d+ bytes; the limit is 16777216. .* golden\.file"
    ):
        golden.write(tmp_path)
    assert not (tmp_path / GOLDEN_FILE).exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a file of golden records: Invalid JSON"),
        (b"[]", "is not a file of golden records"),
        (b"\xff", "is not a file of golden records"),
        (b"[" * 100_000, "is not a file of golden records"),
        (b'{"backend": "torch", "dtype": "float32", "records": []}', "records: Tuple should have at least 1 item"),
        (b'{"backend": "torch", "dtype": "float32", "records": []}', "format_version: Field required"),
        (b'{"format_version": 3, "backend": "torch", "dtype": "float32", "records": []}', "format_version: .* be 2"),
        (b" " * (16 * 2**20 + 1), "larger than the limit of 16777216 bytes"),
    ],
    ids=[
        "nothing",
        "a list",
        "no UTF-8",
        "nested",
        "no records",
        "no version",
        "a newer format",
        "too large",
    ],
)
def test_a_strangers_file_is_read_strictly_and_no_further_than_its_bound(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / GOLDEN_FILE).write_bytes(content)
    with pytest.raises(ArtefactError, match=said):
        read_golden(tmp_path)


def _logits(record: dict[str, Any]) -> dict[str, Any]:
    return record["logits"][0]["logits"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.update(raw_text=5), r"records.0.raw_text: Input should be a valid string \(got 5\)"),
        (lambda one: one.update(run="rm"), "unknown key 'records.0.run'"),
        (lambda one: one["ids"].update(ids=["1"]), "records.0.ids.ids.0: Input should be a valid integer"),
        (lambda one: one.update(id=TEXTS[1]), "two records have the id"),
        (lambda one: one["final"]["annotation"]["spans"][0].update(start=-1), "greater than or equal to 0"),
        (lambda one: one.pop("logits"), "has no 'logits', and does not state a failure"),
        (lambda one: one.update(raw_text="\ud800"), "is not a file of golden records"),
        (lambda one: _logits(one).update(numbers="AAAA"), r"has \d+ numbers of 4 bytes, but got 3 bytes"),
        (lambda one: _logits(one).update(numbers="Ana?"), "records.0.logits.0.logits.numbers: .* base64"),
        (lambda one: _logits(one).update(stretch=10**30), "fewer than 1000000000000000000000000000000 values"),
        (
            lambda one: _logits(one).update(shape=[-1]),
            "records.0.logits.0.logits.shape.0: .* greater than or equal",
        ),
        (lambda one: _logits(one).update(largest=-1.0), "records.0.logits.0.logits.largest: .* greater than or equal"),
    ],
)
def test_a_forged_record_is_named(folder: Path, change: Any, said: str) -> None:
    _forge(folder, change)
    with pytest.raises(ArtefactError, match=said):
        read_golden(folder)


def test_without_golden_records_the_error_says_how_to_make_them(saved_model: Path) -> None:
    with pytest.raises(ArtefactError, match=r"no golden.json .* nlp_inference.golden.record_artefact\(folder\)"):
        require_verified(saved_model)
    with pytest.raises(ArtefactError, match=r"no golden.json"):
        Predictor.from_pretrained(saved_model, verify=True)


def test_the_command_says_that_a_model_is_verified(folder: Path) -> None:
    result = runner.invoke(app, ["verify", str(folder), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert "verified: 2 of 2 bit for bit" in result.stdout
    assert all(stage in result.stdout for stage in STAGES)


def test_the_command_names_the_difference_and_exits_with_1(folder: Path) -> None:
    _forge(folder, lambda record: record["windows"][0].update(end=3))
    result = runner.invoke(app, ["verify", str(folder)])
    assert result.exit_code == 1
    assert "not verified: 1 of 2 records differ" in result.stdout
    assert "differs in 'windows': window 0, end: recorded 3, now 4" in " ".join(result.stdout.split())


def test_the_command_writes_json_with_whole_values(folder: Path) -> None:
    _forge(folder, lambda record: record["windows"][0].update(end=3))
    result = runner.invoke(app, ["verify", str(folder), "--json"])
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert (said["ok"], said["records"]) == (False, 2)
    [difference] = said["differences"]
    assert (difference["stage"], difference["expected"], difference["actual"]) == ("windows", 3, 4)
    assert [window["end"] for window in difference["actual_stage"]] == [4]


@pytest.mark.parametrize("model", ["missing/folder/of/a/model", None])
def test_the_command_exits_with_2_where_there_is_nothing_to_verify_with(saved_model: Path, model: str | None) -> None:
    result = runner.invoke(app, ["verify", model or str(saved_model)])
    assert (result.exit_code, result.stdout) == (2, "")
    [said] = result.stderr.splitlines()
    assert said.startswith("cannot verify ")


def test_verifying_leaves_no_trace_in_the_profile_of_what_was_served(folder: Path) -> None:
    assert Predictor.from_pretrained(folder, verify=True).profile().documents == 0
