"""benchmarks/gpu.py in its reduced form on a CPU, so that it works the first time that it meets a GPU."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from nlp_inference.golden import read_golden, record_artefact

ROOT = Path(__file__).parents[2]
NAMES = ("gpu_settings", "gpu_machine", "gpu_predict", "gpu_verify", "gpu_train", "gpu")
OTHERS = ("fresh_process", "mixed_lengths", "side_by_side", "train")


def few_texts(count: int, **_: object) -> list[str]:
    """Texts of several lengths, in place of thousands of generated ones."""
    return ["Ana lives in Rome " * (1 + index % 3) for index in range(count)]


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    """The modules of the benchmark, which import one another as scripts do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        for name in (*NAMES, *OTHERS):
            patch.delitem(sys.modules, name, raising=False)
        found = {name: import_module(name) for name in NAMES}
        patch.setattr(found["gpu_predict"], "make_texts", few_texts)
        yield found
        for name in (*NAMES, *OTHERS):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def settings(scripts: dict[str, ModuleType]):
    return scripts["gpu_settings"].REDUCED._replace(device="cpu", documents=8, calls=2, batch_sizes=(1, 4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("measured")


@pytest.fixture
def clock(scripts: dict[str, ModuleType]):
    return scripts["gpu_settings"].Clock(600)


def notes(rows: list[dict[str, str]]) -> dict[str, str]:
    return {row[""]: row["note"] for row in rows if "note" in row}


def test_the_machine_is_described_with_its_peaks(scripts, settings, folder, clock) -> None:
    rows = list(scripts["gpu_machine"].machine_rows(settings, folder, clock))
    assert notes(rows) == {}
    assert "cores; Python" in rows[0]["value"]
    peaks = scripts["gpu_machine"].read_peaks(folder)
    assert set(peaks) == {"float32", "float32, TF32", "bfloat16", "float16"}
    assert min(peaks.values()) > 0


def test_operations_are_counted_by_hand(scripts) -> None:
    count, shape = scripts["gpu_machine"].operations_per_document, scripts["gpu_settings"].Shape(2, 8, 2, 32)
    weights = 2 * (4 * 8 * 8 + 2 * 8 * 32)
    scores = 2 * 2 * (2 * 8)  # products of queries with keys, and of scores with values, for each key
    assert count(shape, [10, 10]) == 10 * 2 * weights + 10 * 10 * scores
    assert count(shape, [10, 20]) == (count(shape, [10]) + count(shape, [20])) / 2


@pytest.mark.filterwarnings("ignore")
def test_prediction_and_latency_are_measured_for_each_variant(scripts, settings, folder, clock) -> None:
    rows = list(scripts["gpu_predict"].predict_rows(settings, folder, clock))
    assert notes(rows) == {}
    names = [row[""] for row in rows[1:]]
    assert names == [one.name for one in scripts["gpu_predict"].variants(folder / "untrained", settings)]
    ours = [row for row in rows if row[""].startswith("Predictor")]
    assert len(ours) == 7
    assert all(float(row["× best pipeline"]) > 0 and row["outside"].endswith("%") for row in ours)
    single = list(scripts["gpu_predict"].latency_rows(settings, folder, clock))
    assert [row[""] for row in single] == [
        "pipeline, float32",
        *(f"Predictor, {dtype}" for dtype in ("float32", "bfloat16", "float16")),
    ]
    assert all(row["p50"].endswith(" ms") for row in single)


@pytest.mark.filterwarnings("ignore")
def test_what_fails_and_what_has_no_time_is_a_row(scripts, settings, folder, monkeypatch) -> None:
    predict, clock = scripts["gpu_predict"], scripts["gpu_settings"].Clock(5)
    variants = list(predict.variants(folder / "untrained", settings))
    assert set(notes(list(predict.predict_rows(settings, folder, clock))).values()) == {"not measured: no time left"}

    def broken(*_: object) -> None:
        raise RuntimeError("no kernel | for this card\nand more")

    monkeypatch.setattr(predict, "measure", broken)
    rows = list(predict.predict_rows(settings, folder, scripts["gpu_settings"].Clock(600)))
    assert notes(rows) == {one.name: "failed: RuntimeError: no kernel / for this card" for one in variants}


def test_golden_records_are_replayed_in_each_precision(
    scripts, settings, saved_model: Path, tmp_path, clock, monkeypatch
) -> None:
    model = shutil.copytree(saved_model, tmp_path / "run" / "model")
    record_artefact(model)
    golden = read_golden(model)
    few = golden.model_copy(update={"records": golden.records[:6]})
    monkeypatch.setattr(scripts["gpu_verify"], "read_golden", lambda _: few)
    rows = list(scripts["gpu_verify"].verify_rows(settings._replace(model=model), tmp_path, clock))
    assert [row[""] for row in rows] == ["cpu, float32", "cpu, bfloat16", "cpu, float16"]
    assert rows[0]["records"] == rows[0]["same"] == rows[0]["bit for bit"] == 6
    missing = list(scripts["gpu_verify"].verify_rows(settings, tmp_path / "empty", clock))
    assert notes(missing) == {
        "golden records": "not verified: no trained model; run the section train, or pass --model"
    }


def test_trainings_are_compared_with_the_same_documents(scripts, settings, tmp_path, clock, monkeypatch) -> None:
    calls: list[list[str]] = []

    def last_line(*command: object, quiet: bool = False) -> dict[str, object]:
        calls.append([str(word) for word in command])
        if "peer_trainer" in str(command[0]):
            return {"test": 0.5, "seconds": 2.0, "memory": 0}
        measured = {"training_seconds": 1.0, "padding": 0.1, "outside": 0.2, "tokens": 1000, "memory": 3 << 29}
        return {"metrics": {"test": {"f1": 0.75}}, **measured}

    for name in ("gpu_train", "train"):
        monkeypatch.setattr(sys.modules[name], "last_line", last_line)
    (tmp_path / "peaks.json").write_text('{"bfloat16": 1e9}')
    rows = list(scripts["gpu_train"].train_rows(settings._replace(compile=True), tmp_path, clock))
    assert notes(rows) == {}
    found = {row[""]: row for row in rows}
    assert found["nlp_training"]["test F1"] == "75.0"
    assert found["nlp_training"]["documents / s"] == "24"
    assert found["nlp_training"]["GPU memory"] == "1.50 GiB"
    assert found["plain Trainer, its defaults"]["documents / s"] == "12"
    weights = 4 * 32**2 + 2 * 32 * 64
    assert found["nlp_training, BERT-base's size"]["of the peak"] == f"{6 * 1000 * weights / 1e9:.1%}"
    assert sum("training.torch_compile=true" in call for call in calls) == 1
    data = f"data.train={tmp_path / 'data' / 'mixed'}.train.jsonl"
    assert sum(data in call for call in calls) == 3
    assert (tmp_path / "base" / "model.safetensors").is_file()


def test_the_table_is_markdown(scripts) -> None:
    rows = [{"": "a", "note": "none"}, {"": "b", "docs / s": "7"}]
    expected = "| | docs / s | note |\n| --- | ---: | --- |\n| a | | none |\n| b | 7 | |"
    assert scripts["gpu"].markdown(rows) == expected


@pytest.mark.slow
def test_the_reduced_form_runs_to_its_end(tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    options = ["--reduced", "--device", "cpu", "--output", str(output), "--seconds", "900"]
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert {row["section"] for row in rows} == {"machine", "train", "predict", "latency", "verify", "onnx"}
    assert [row for row in rows if "failed" in row.get("note", "") or "no time" in row.get("note", "")] == []
    assert done.stdout.count("### ") == 6


@pytest.mark.slow
def test_a_section_that_fails_or_takes_too_long_says_so(scripts, settings, tmp_path: Path) -> None:
    failed = scripts["gpu"].run_section("machine", settings._replace(device="meta:nonsense"), tmp_path, 120.0)
    assert "failed: " in failed[-1]["note"]
    late = scripts["gpu"].run_section("predict", settings, tmp_path, -4.0)
    assert late == [{"": "(the rest)", "note": "not measured: -4 seconds were over"}]
