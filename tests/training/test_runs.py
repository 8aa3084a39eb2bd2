"""`nlp-training runs`: what folders of runs tell, and runs side by side."""

import json
import os
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from nlp_inference import Annotation, Document, Span
from nlp_inference.errors import ArtefactError, InvalidSpecError
from nlp_training.cli import app
from nlp_training.provenance.manifest import RunManifest
from nlp_training.runs import RunComparison, compare_runs, find_runs, read_run
from nlp_training.runs.run_tables import comparison_tables, runs_table

MANIFEST = {
    "id": "a",
    "name": "best",
    "status": "finished",
    "started_at": "2026-03-01T10:00:00Z",
    "ended_at": "2026-03-01T10:05:03Z",
    "command": [],
    "python": "3.11",
    "packages": {},
    "code": {"version": "0.1.0", "checkout": {"commit": "0123456789abcdef", "dirty": False}},
    "hardware": {"system": "Linux x86_64", "cpu": "a", "vector": "AVX2", "cores": 2, "threads": 2},
    "world_size": 1,
    "seed": 42,
    "data": {},
    "initial_weights": "0",
}
CONFIG = """
name: {name}
seed: 42
model: {{base: org/encoder}}
data: {{train: train.jsonl}}
processor: {{task: {{token-classification: {{labels: [CITY]}}}}, preprocess: {preprocess}}}
training: {{learning_rate: {rate}}}
"""
SPAN = Span(start=0, end=4, label="CITY")


def scores(f1: float) -> dict[str, Any]:
    return {"f1": f1, "precision": 0.5, "support": 3, "interval": {"f1": [f1 - 0.1, f1 + 0.1]}, "per_label": {}}


def write_run(
    folder: Path, *, f1: float = 0.5, rate: float = 0.1, preprocess: str = "[]", manifest: Any = MANIFEST
) -> Path:
    (folder / "model").mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG.format(name=folder.name, preprocess=preprocess, rate=rate))
    (folder / "model" / "metrics.json").write_text(json.dumps({"validation": scores(0.4), "test": scores(f1)}))
    if manifest is not None:
        RunManifest.model_validate({**manifest, "name": folder.name}).save(folder)
    return folder


def write_predictions(folder: Path, found: list[bool], *, text: str = "Rome") -> None:
    (folder / "predictions").mkdir()
    documents = [
        Document(
            raw_text=f"{text} {number}",
            id=str(number),
            gold=Annotation(spans=(SPAN,)),
            predicted=Annotation(spans=(SPAN,) if is_found else ()),
        )
        for number, is_found in enumerate(found)
    ]
    lines = [document.model_dump_json(exclude_defaults=True) for document in documents]
    (folder / "predictions" / "test.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    write_run(folder / "best", f1=0.9)
    started = {**MANIFEST, "started_at": "2026-03-02T10:00:00Z", "ended_at": None, "status": "running"}
    running = write_run(folder / "going", manifest=started)
    (running / "model" / "metrics.json").unlink()
    failed = {**MANIFEST, "status": "failed", "error": "RuntimeError: the disk is full"}
    write_run(folder / "no-room", f1=0.2, manifest=failed)
    write_run(folder / "old", f1=0.3, manifest=None)
    (folder / "stopped" / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    broken = write_run(folder / "torn", manifest=None)
    (broken / "model" / "metrics.json").write_text('{"test": {"f1"')
    write_run(folder / "searched" / "trials" / "0", f1=0.6)
    (folder / "searched" / "run.json").write_text("[]")
    (folder / "notes" / "checkpoints").mkdir(parents=True)  # as a search leaves
    for name, year in (("old", 2001), ("stopped", 2002), ("torn", 2003)):
        for path in (folder / name).rglob("*"):
            os.utime(path, ((year - 1970) * 31_557_600,) * 2)
    return folder


def test_every_run_is_listed_with_its_status(runs: Path) -> None:
    assert {run.name: run.status for run in find_runs(runs)} == {
        "best": "finished",
        "going": "running",
        "no-room": "failed",
        "old": "finished",
        "searched": "broken",
        "searched/trials/0": "finished",
        "stopped": "unfinished",
        "torn": "broken",
    }


def test_a_run_tells_what_it_is(runs: Path) -> None:
    assert read_run(runs / "best" / "model").to_json() == {
        "name": "best",
        "folder": str(runs / "best"),
        "status": "finished",
        "problem": None,
        "started": "2026-03-01T10:00:00+00:00",
        "seconds": 303.0,
        "base": "org/encoder",
        "task": "token-classification",
        "commit": "0123456789abcdef",
        "scores": {
            "validation": {"name": "f1", "value": 0.4, "interval": (0.30000000000000004, 0.5)},
            "test": {"name": "f1", "value": 0.9, "interval": (0.8, 1.0)},
        },
    }
    assert read_run(runs / "no-room").problem == "RuntimeError: the disk is full"
    assert "metrics.json" not in str(read_run(runs / "going").problem)
    assert "metrics.json is not JSON: Expecting" in str(read_run(runs / "torn").problem)
    assert "not the manifest of a run" in str(read_run(runs / "searched").problem)


def test_what_is_no_run_is_named(runs: Path) -> None:
    with pytest.raises(ArtefactError, match="is not the folder of a run; pass one such as runs/quickstart"):
        read_run(runs / "notes")
    with pytest.raises(ArtefactError, match="does not exist; pass a folder that contains runs"):
        find_runs(runs / "none")
    with pytest.raises(InvalidSpecError, match="got 1 run; give at least two"):
        compare_runs([runs / "best"])


def shown(renderable: Any) -> str:
    console = Console(width=80, file=StringIO())
    console.print(renderable)
    return console.file.getvalue()


def test_the_table_fits_a_terminal_and_cuts_no_name(runs: Path) -> None:
    lines = shown(runs_table(find_runs(runs))).splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for words in (
        *("searched/trials/0", "org/encoder", "token-classification", "2026-03-01 10:00", "5 min 3 s", "code 01234567"),
        *("test f1 0.9000 (0.800–1.000)", "unfinished", "running", "broken"),
    ):
        assert words in text


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["runs", *map(str, arguments)])


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", ["best", "going", "no-room", "old", "searched", "searched/trials/0", "stopped", "torn"]),
        ("test", ["best", "searched/trials/0", "old", "no-room", "going", "searched", "stopped", "torn"]),
        ("duration", ["best", "no-room", "searched/trials/0", "going", "old", "searched", "stopped", "torn"]),
        ("status", ["searched", "torn", "no-room", "best", "old", "searched/trials/0", "going", "stopped"]),
    ],
)
def test_runs_are_sorted(runs: Path, sort: str, order: list[str]) -> None:
    result = invoke(runs, "--sort", sort, "--json")
    assert [run["name"] for run in json.loads(result.stdout)] == order


def test_the_newest_run_comes_first_and_mistakes_are_named(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs / "searched" / "run.json").unlink()
    names = [run["name"] for run in json.loads(invoke(runs, "--json").stdout)]
    assert names == ["going", "best", "no-room", "searched/trials/0", "torn", "stopped", "old"]
    wrong = invoke(runs, "--sort", "tset")
    assert wrong.exit_code == 1
    assert "expected one of name, date, status, duration, validation, test" in " ".join(wrong.stderr.split())
    monkeypatch.chdir(runs.parent)
    assert "going" in invoke().stdout
    assert invoke(runs / "notes").stdout.startswith("no runs in ")
    assert invoke("list", runs / "best", "--json").stdout == invoke(runs / "best", "--json").stdout
    assert "compare" in invoke("--help").stdout


def test_only_what_differs_is_compared_and_the_best_is_highlighted(runs: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", f1=0.7, rate=0.3, preprocess="[lowercase]")
    found = compare_runs([runs / "best", other])
    assert found.settings == {"processor.preprocess": (None, "['lowercase']"), "training.learning_rate": (0.1, 0.3)}
    assert found.scores["test", "f1"] == ((0.9, (0.8, 1.0)), (0.7, (0.6, 0.7999999999999999)))
    assert found.scores["test", "precision"] == ((0.5, ()), (0.5, ()))
    assert found.not_paired["test"] == "only runs that kept their predictions can be tested"
    text = shown(comparison_tables(found))
    assert max(map(len, text.splitlines())) <= 80
    assert "['lowercase']" in text
    console = Console(width=80, force_terminal=True, color_system="standard", legacy_windows=False)
    with console.capture() as capture:
        console.print(comparison_tables(found))
    assert "\x1b[1;32m0.9000" in capture.get()
    assert "\x1b[1;32m0.7000" not in capture.get()


def test_no_word_of_a_key_is_cut_and_a_reason_is_said_once(tmp_path: Path) -> None:
    key = "training.per_device_train_batch_size"
    runs = tuple(read_run(write_run(tmp_path / name)) for name in ("one", "other"))
    settings = {key: (16, "word " * 20), "data.train.path": ("/a/long/folder/" * 5, None)}
    reason = "the runs have different documents or different gold"
    found = RunComparison(runs, settings, {}, {}, {"validation": reason, "test": reason})
    text = shown(comparison_tables(found))
    assert [line.split()[1] for line in text.splitlines() if "training." in line or "per_device" in line] == [
        "training.",
        "per_device_train_batch_size",
    ]
    assert max(map(len, text.splitlines())) <= 80
    assert f"validation, test: no paired test: {reason}" in " ".join(text.split())


def test_two_runs_on_the_same_documents_are_tested_pairwise(tmp_path: Path) -> None:
    one, other = (write_run(tmp_path / name) for name in ("one", "other"))
    write_predictions(one, [False, False, False, True] * 5)
    write_predictions(other, [True] * 20)
    found = compare_runs([one, other])
    assert (found.paired["test"]["test"], found.paired["test"]["documents"]) == ("paired bootstrap", 20)
    assert (found.paired["test"]["first"], found.paired["test"]["second"]) == (0.4, 1.0)
    assert found.paired["test"]["p_value"] < 0.01
    printed = invoke("compare", one, other).stdout
    assert "f1 of one" in printed
    assert "paired bootstrap on 20 documents" in printed
    machine = json.loads(invoke("compare", one, other, "--json").stdout)
    assert machine["scores"]["test"]["f1"][0] == {"value": 0.5, "interval": [0.4, 0.6]}
    assert machine["paired"]["test"]["documents"] == 20


@pytest.mark.parametrize(
    ("found", "text", "reason"),
    [
        ([True] * 3, "Rome", "the runs have different documents or different gold"),
        ([True] * 4, "Bern", "the runs have different documents or different gold"),
        (None, "", "test.jsonl:1: "),
    ],
)
def test_other_documents_are_not_tested_and_it_is_said_why(
    tmp_path: Path, found: list[bool] | None, text: str, reason: str
) -> None:
    one, other = (write_run(tmp_path / name) for name in ("one", "other"))
    write_predictions(one, [True] * 4)
    write_predictions(other, found or [True], text=text or "Rome")
    if found is None:
        (other / "predictions" / "test.jsonl").write_text("no JSON\n")
    compared = compare_runs([one, other])
    assert compared.paired == {}
    assert reason in compared.not_paired["test"]


def test_three_runs_are_shown_side_by_side_without_a_test(runs: Path) -> None:
    found = compare_runs([runs / "best", runs / "torn", runs / "going"])
    assert found.paired == found.not_paired == {}
    assert found.scores["test", "f1"][1:] == (None, None)
    assert max(map(len, shown(comparison_tables(found)).splitlines())) <= 80
