"""Missing extras: one message with the pip command, and other import errors left as they are."""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import nlp_inference
from nlp_inference._utils.extras import install_command, require
from nlp_inference.errors import MissingExtraError

ROOT = Path(nlp_inference.__file__).parents[1]
HIDE = """
import os, sys
sys.modules.update(dict.fromkeys(os.environ["HIDDEN_MODULES"].split(",")))
"""
"""As `sitecustomize`, before any other code: some modules are not installed."""
TRAIN = "torch,accelerate,datasets,evaluate,yaml,scipy,sklearn,jinja2,markupsafe,psutil,onnx,onnxscript"


def test_what_is_installed_is_given():
    import json.decoder

    assert require("json.decoder", extra="torch") is json.decoder


@pytest.mark.parametrize("module", ["not_installed_anywhere", "not_installed_anywhere.inner"])
def test_what_is_missing_is_named_with_the_command(module):
    with pytest.raises(MissingExtraError, match=r'pip install "nlp-inference\[serve\]') as caught:
        require(module, extra="serve")
    assert repr(module) in str(caught.value)
    assert isinstance(caught.value, ImportError)


def test_what_an_installed_module_misses_is_not_blamed_on_the_extra(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import something_it_needs\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_it_needs") as caught:
        require("half_installed", extra="torch")
    assert not isinstance(caught.value, MissingExtraError)
    assert "half_installed" not in sys.modules


class Recorded:
    """What is installed, as `importlib.metadata` tells it."""

    def __init__(self, source: dict | None) -> None:
        self.source = source

    def read_text(self, _: str) -> str | None:
        return None if self.source is None else json.dumps(self.source)


@pytest.mark.parametrize(
    ("source", "command"),
    [
        (None, 'pip install "nlp-inference[train]"'),
        (
            {"url": "https://example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "1f"}},
            'pip install "nlp-inference[train] @ git+https://example.org/a.git"',
        ),
        (
            {
                "url": "ssh://git@example.org/a",
                "vcs_info": {"vcs": "git", "requested_revision": "v2", "commit_id": "1"},
            },
            'pip install "nlp-inference[train] @ git+ssh://git@example.org/a@v2"',
        ),
        (
            {"url": "file:///checkout", "dir_info": {"editable": True}},
            'pip install "nlp-inference[train] @ file:///checkout"',
        ),
        (
            {"url": "https://example.org/a.whl", "archive_info": {}},
            'pip install "nlp-inference[train] @ https://example.org/a.whl"',
        ),
    ],
)
def test_the_command_installs_from_where_the_base_was_installed(monkeypatch, source, command):
    monkeypatch.setattr("nlp_inference._utils.extras.distribution", lambda _: Recorded(source))
    assert install_command("train") == command


def test_the_command_of_a_checkout_that_is_not_installed(monkeypatch):
    def absent(_: str) -> None:
        raise PackageNotFoundError

    monkeypatch.setattr("nlp_inference._utils.extras.distribution", absent)
    assert install_command("train", "spacy") == ('pip install "nlp-inference[train,spacy] @ git+URL-OF-THE-REPOSITORY"')


def run_without(tmp_path: Path, hidden: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where some modules are not installed."""
    (tmp_path / "sitecustomize.py").write_text(HIDE, encoding="utf-8")
    environment = {**os.environ, "HIDDEN_MODULES": hidden, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=300
    )


COMMAND = "from nlp_inference._utils.training_command import main; main()"


@pytest.mark.parametrize(
    ("hidden", "arguments"),
    [
        (TRAIN, ["-c", COMMAND]),
        ("accelerate", ["-c", COMMAND, "train", "run.yaml"]),
        pytest.param(TRAIN, ["scripts/train.py", "run.yaml"], marks=pytest.mark.extra),  # needs the repository
        pytest.param(TRAIN, ["scripts/publish.py", "runs/one", "org/model"], marks=pytest.mark.extra),
    ],
)
def test_a_training_command_without_its_extra_ends_with_one_line(tmp_path, hidden, arguments):
    paths = [str(ROOT / one) if one.startswith("scripts/") else one for one in arguments]
    done = run_without(tmp_path, hidden, *paths)
    assert (done.returncode, done.stdout) == (1, "")
    [said] = done.stderr.splitlines()
    assert said.startswith("MissingExtraError: ")
    assert 'pip install "nlp-inference[train]' in said


IMPORTS = """
import importlib, sys
for name in sys.argv[1:]:
    module, _, attribute = name.partition(":")
    try:
        getattr(importlib.import_module(module), attribute or "__name__")
    except ImportError as error:
        print(name, type(error).__name__, *(extra for extra in EXTRAS if f"nlp-inference[{extra}]" in str(error)))
    else:
        print(name, "imported")
"""


def test_an_output_in_parquet_without_its_extra_is_refused_before_the_model_is_loaded(tmp_path):
    (tmp_path / "in.txt").write_text("Ana", encoding="utf-8")
    output = tmp_path / "out.parquet"
    command = "from nlp_inference.cli import app; app()"
    arguments = ["predict", "no-model", str(tmp_path / "in.txt"), "-o", str(output)]
    done = run_without(tmp_path, "pyarrow", "-c", command, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    [said] = done.stderr.splitlines()
    assert said.startswith("MissingExtraError: 'pyarrow.parquet' is required")
    assert not output.exists()


EXTRAS = ("torch", "train", "search", "mlflow", "parquet", "ray", "spacy", "quickstart")


def told_without(tmp_path: Path, hidden: str, *names: str) -> dict[str, str]:
    done = run_without(tmp_path, hidden, "-c", f"EXTRAS = {EXTRAS}\n{IMPORTS}", *names)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_every_module_of_nlp_training_names_the_extra(tmp_path):
    paths = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / "nlp_training").rglob("*.py"))]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    assert len(names) > 100
    told = told_without(tmp_path, TRAIN, "nlp_training:train", *names)
    assert told == dict.fromkeys(["nlp_training:train", *names], "MissingExtraError train")


@pytest.mark.extra
@pytest.mark.parametrize(
    ("hidden", "names", "extra"),
    [
        (
            "torch",
            [
                "nlp_inference:load_checkpoint",
                "nlp_inference.architectures:load_checkpoint",
                "nlp_inference.architectures:AutoModelForSpanClassification",
                "nlp_inference.backends.torch",
            ],
            "torch",
        ),
        ("optuna", ["nlp_training.search.run"], "search"),
        ("filelock", ["nlp_training.search.run"], "search"),
        ("onnx", ["nlp_training.export", "nlp_training.export.graph"], "train"),
        ("onnxscript", ["nlp_training.export"], "train"),
    ],
)
def test_what_needs_another_extra_names_it(tmp_path, hidden, names, extra):
    assert told_without(tmp_path, hidden, *names) == dict.fromkeys(names, f"MissingExtraError {extra}")


def test_without_torch_what_needs_none_can_be_imported(tmp_path):
    names = ["nlp_inference:CheckpointReport", "nlp_inference:Predictor", "nlp_inference.backends.onnx"]
    assert told_without(tmp_path, "torch", *names) == dict.fromkeys(names, "imported")
