"""Which precision is loaded where the caller names none."""

import json
from pathlib import Path

import pytest

from nlp_inference.backends.choice import choose_backend, choose_dtype, exported_on_hub
from nlp_inference.backends.onnx_files import FILES


def exported(folder: Path, *dtypes: str) -> Path:
    (folder / "onnx").mkdir()
    for dtype in dtypes:
        (folder / "onnx" / f"{FILES.stems[dtype]}.onnx").touch()
    return folder


CASES = [
    (("int8",), "int8"),
    (("float16",), "float16"),
    (("int8", "float16"), "float16"),
    (("int8", "float32"), "float32"),
    ((), "float32"),
]


@pytest.mark.parametrize(("dtypes", "expected"), CASES)
def test_without_a_precision_the_first_that_was_exported_is_taken(tmp_path: Path, dtypes, expected: str) -> None:
    folder = exported(tmp_path, *dtypes)
    assert choose_dtype(folder, backend="onnx", dtype=None) == expected
    assert choose_dtype(folder, backend="onnx", dtype="float16") == "float16"
    assert choose_dtype(folder, backend="torch", dtype=None) == "float32"


def test_a_folder_that_holds_only_the_int8_export_is_run_by_onnx(tmp_path: Path) -> None:
    folder = exported(tmp_path, "int8")
    assert choose_backend(folder, backend="auto", dtype=None) == "onnx"


@pytest.mark.parametrize(("dtypes", "expected"), CASES[:4])
def test_on_the_hub_the_fingerprint_says_what_was_exported(tmp_path: Path, dtypes, expected: str) -> None:
    exports = {f"{FILES.stems[dtype]}.onnx": "0" * 64 for dtype in dtypes}
    settings = {"fingerprint": {"exports": exports}}
    (tmp_path / "processor_config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert exported_on_hub(tmp_path, backend="onnx") == expected


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"fingerprint": null}', '{"fingerprint": {"exports": []}}'])
def test_settings_that_say_nothing_of_exports_say_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "processor_config.json").write_text(content, encoding="utf-8")
    assert exported_on_hub(tmp_path, backend="onnx") is None
