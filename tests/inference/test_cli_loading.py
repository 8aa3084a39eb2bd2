"""How the commands load a model: which status they exit with where they cannot, and when its code runs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from loud_package import Machine
from typer.testing import CliRunner

from nlp_inference import Predictor, Processor
from nlp_inference.cli import app
from nlp_inference.drift.profile import PROFILE_FILE
from nlp_inference.errors import UnknownTypeError
from nlp_inference.golden import record_artefact, require_verified

TEXTS = ["Ana lives in Rome", "Bo met Carla in Oslo"] * 6
runner = CliRunner()


@pytest.fixture(scope="module")
def model(saved_model: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """A model with golden records and a profile."""
    folder = shutil.copytree(saved_model, tmp_path_factory.mktemp("checked") / "model")
    if not pytestconfig.option.base_install:  # what is exported comes with its records
        record_artefact(folder)
    _save_profile(Predictor.from_pretrained(folder), folder)
    return folder


def _save_profile(predictor: Predictor, folder: Path) -> None:
    predictor.predict(TEXTS)
    predictor.profile().save(folder / PROFILE_FILE)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    return path


COMMANDS = {
    "predict": ["predict", "MODEL", "TEXTS"],
    "verify": ["verify", "MODEL"],
    "verify --invariance": ["verify", "MODEL", "--invariance", "TEXTS"],
    "drift": ["drift", "MODEL", "TEXTS"],
}
STATUS = {"predict": 1, "verify": 2, "verify --invariance": 2, "drift": 2}
"""Of a command that could not load its model; 1 is what a check says that was made and found something."""

commands = pytest.mark.parametrize("command", COMMANDS)


def _run(command: str, *more: str, model: Path | str, texts: Path, status: int) -> str:
    places = {"MODEL": str(model), "TEXTS": str(texts)}
    result = runner.invoke(app, [*(places.get(one, one) for one in COMMANDS[command]), *more])
    assert result.exit_code == status, result.output
    return result.stderr


@commands
def test_a_model_that_can_be_loaded_gives_0(command: str, model: Path, texts: Path) -> None:
    _run(command, model=model, texts=texts, status=0)


@commands
@pytest.mark.parametrize("what", ["no such folder", "no such device", "no weights", "damaged settings"])
def test_a_model_that_cannot_be_loaded_has_a_status_of_its_own(
    command: str, what: str, model: Path, texts: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(model, tmp_path / "model")
    if what == "no such folder":
        shutil.rmtree(folder)
    elif what == "no weights":
        for path in (*folder.glob("model.safetensors"), *folder.glob("onnx/*.onnx")):
            path.unlink()
    elif what == "damaged settings":
        (folder / "processor_config.json").write_text("{")
    options = ["--device", "toaster"] if what == "no such device" else []
    [said] = _run(command, *options, model=folder, texts=texts, status=STATUS[command]).splitlines()
    assert said.startswith(("cannot load the model ", "cannot verify ", "cannot compare: "))


@pytest.mark.parametrize("command", ["verify --invariance", "drift"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"FileNotFoundError: .*texts\.txt"),
        ("", "none of 0 documents could be predicted|the profile now has 0 documents"),
        ("{bad\n{worse\n", "none of 2 documents could be predicted, .* not valid JSON|has 0 documents"),
    ],
    ids=["missing", "empty", "unreadable"],
)
def test_a_file_that_says_nothing_is_no_check(
    command: str, content: str | None, said: str, model: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    if content is not None:
        texts.write_text(content)
    *_, last = _run(command, model=model, texts=texts, status=2).splitlines()
    assert re.match(f"cannot compare: .*({said})", last)


@pytest.fixture
def with_code(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model whose transform travels with it, on a machine where its package is not installed."""
    machine = Machine(tmp_path, monkeypatch)
    machine.install()
    processor = Processor.from_pretrained(model, preprocess=["shout"])
    processor.preprocess.steps[0].register_for_auto_class()
    folder = shutil.copytree(model, tmp_path / "with_code")
    processor.save_pretrained(folder)
    _save_profile(Predictor.from_pretrained(folder), folder)
    machine.uninstall()
    record_artefact(folder, trust_remote_code=True)
    yield folder
    machine.forget()


@pytest.mark.extra
@commands
def test_code_of_a_model_runs_only_where_the_command_trusts_it(command: str, with_code: Path, texts: Path) -> None:
    refused = _run(command, model=with_code, texts=texts, status=STATUS[command])
    assert "unknown transform 'shout'" in refused
    _run(command, "--trust-remote-code", model=with_code, texts=texts, status=0)


@pytest.mark.extra
def test_a_model_with_code_is_verified_only_where_it_is_trusted(with_code: Path) -> None:
    assert require_verified(with_code, trust_remote_code=True).ok
    with pytest.raises(UnknownTypeError, match="unknown transform 'shout'"):
        require_verified(with_code)
    with pytest.raises(UnknownTypeError, match="unknown transform 'shout'"):
        record_artefact(with_code)


def test_the_commands_silence_transformers_before_they_import_it() -> None:
    script = "import sys, nlp_inference.cli, nlp_inference.cli.model_package; print('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
