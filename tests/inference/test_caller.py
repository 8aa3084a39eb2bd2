"""Warnings name the caller's line, and a service without torch starts without advice to install it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nlp_inference
from nlp_inference import Processor
from nlp_inference.processor.fingerprint import Fingerprint, FingerprintWarning

ROOT = Path(nlp_inference.__file__).parents[1]


@pytest.fixture
def older_model(token_processor, tmp_path):
    """A processor that was saved with another version of numpy."""
    fingerprint = Fingerprint.of(token_processor, weights=[], runtime="onnxruntime")
    packages = {**fingerprint.packages, "numpy": "1.0"}
    token_processor.with_fingerprint(fingerprint.model_copy(update={"packages": packages})).save_pretrained(tmp_path)
    return tmp_path


def test_the_warning_of_the_fingerprint_is_given_once_at_the_line_of_the_caller(older_model):
    with pytest.warns(FingerprintWarning, match="numpy 1.0 ->") as caught:
        Processor.from_pretrained(older_model)
    assert [Path(one.filename) for one in caught] == [Path(__file__)]


def start(tmp_path, program, *, hidden):
    hide = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in hidden)
    (tmp_path / "sitecustomize.py").write_text(hide, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    environment.pop("TRANSFORMERS_VERBOSITY", None)
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def test_a_service_without_torch_starts_quietly(token_processor, tmp_path):
    token_processor.save_pretrained(tmp_path / "model")
    program = f"""
from nlp_inference import Predictor, Processor
Processor.from_pretrained({str(tmp_path / "model")!r})
import logging, os, transformers
print([logging.getLogger("transformers").filters, transformers.logging.get_verbosity() == logging.WARNING])
print(sorted(name for name in os.environ if name.startswith("TRANSFORMERS")))
"""
    done = start(tmp_path, program, hidden=["torch"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["[[], True]", "[]"]


def test_other_records_of_transformers_pass(tmp_path):
    program = """
from nlp_inference._utils.caller import without_torch_advice
with without_torch_advice():
    import transformers
    transformers.logging.get_logger("transformers").warning("something else")
"""
    done = start(tmp_path, program, hidden=["torch"])
    assert "something else" in done.stderr
    assert "PyTorch was not found" not in done.stderr


def test_who_imports_transformers_first_keeps_its_advice(tmp_path):
    done = start(tmp_path, "import transformers\nfrom nlp_inference import Processor", hidden=["torch"])
    assert "PyTorch was not found" in done.stderr
