"""The wheel of a model: what it holds, installed in an empty environment, and what a mixed installation says."""

import importlib.metadata
import io
import json
import shutil
import site
import subprocess
import sys
import venv
from inspect import signature
from pathlib import Path
from typing import Annotated
from zipfile import ZipFile

import pytest
import typer
from made_up_records import span_records, write_splits
from rich.console import Console
from typer.testing import CliRunner

import nlp_inference
from nlp_inference import Predictor
from nlp_inference.cli import app as inference_app
from nlp_inference.cli.model_package import package_app
from nlp_inference.errors import ArtefactError, InvalidSpecError, OutputError, PublishError
from nlp_inference.integrations.model_package import ModelPackage
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_training import RunConfig, train
from nlp_training.cli import app
from nlp_training.release.files import find_release, select_models
from nlp_training.release.package_names import distribution_name
from nlp_training.release.package_requirements import package_requirements
from nlp_training.release.wheel import Wheel, build_wheel

TEXTS = ["Ana lives in Rome", "Eva"]


@pytest.fixture(scope="module")
def run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    content = {
        "name": "spans",
        "output_dir": str(folder / "runs"),
        "cpu_threads": 1,
        "model": {"base": str(tiny_base)},
        "data": write_splits(folder, span_records),
        "processor": {"task": "token-classification"},
        "training": {"num_train_epochs": 1, "per_device_train_batch_size": 8, "bf16": False},
        "golden": {"records": 4},
    }
    return train(RunConfig.model_validate(content), console=Console(file=io.StringIO())).model.parent


@pytest.fixture(scope="module")
def wheel(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    return build_wheel(run, name="Acme_NER", version="1.2", output=tmp_path_factory.mktemp("dist") / "new")


@pytest.fixture(scope="module")
def environment(wheel: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the wheel, which finds the library and its packages by a .pth file."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    pip("--python", folder / "bin" / "python", "install", wheel.path)
    root = Path(nlp_inference.__file__).parents[1]
    (packages_of(folder) / "library.pth").write_text(
        "\n".join(map(str, (root, *site.getsitepackages(), *sys.path[1:])))
    )
    return folder


def packages_of(environment: Path) -> Path:
    return next((environment / "lib").glob("python3*")) / "site-packages"


def pip(*words: object) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", *map(str, words), "--no-deps", "--no-index", "--no-compile", *quiet]
    subprocess.run(command, check=True, capture_output=True)


def test_the_wheel_holds_the_model_and_says_what_it_needs(wheel: Wheel, run: Path) -> None:
    assert (wheel.name, wheel.version, wheel.module, wheel.texts) == ("acme-ner", "1.2", "acme_ner", 4)
    assert wheel.path.name == "acme_ner-1.2-py3-none-any.whl"
    with ZipFile(wheel.path) as content:
        names = {name for name in content.namelist() if not name.startswith("acme_ner-1.2.dist-info/")}
        metadata = content.read("acme_ner-1.2.dist-info/METADATA").decode()
        scripts = content.read("acme_ner-1.2.dist-info/entry_points.txt").decode()
    code = {"acme_ner/__init__.py", "acme_ner/__main__.py", "acme_ner/py.typed", "acme_ner/manifest.json"}
    model = {f"acme_ner/model/{path.name}" for path in (run / "model").iterdir()}
    assert names == code | model
    library = importlib.metadata.version("nlp-inference")
    assert f"Requires-Dist: nlp-inference[torch] (=={library})" in metadata or (
        f"Requires-Dist: nlp-inference[torch]=={library}" in metadata
    )
    assert "Requires-Python: >=3.11" in metadata
    assert "import acme_ner\n\npredictor = acme_ner.load()" in metadata
    assert "Predictor.from_pretrained" not in metadata
    assert "acme-ner=acme_ner.__main__:main" in scripts


def test_the_same_input_gives_the_same_bytes_and_a_wheel_is_not_replaced(
    wheel: Wheel, run: Path, tmp_path: Path
) -> None:
    words = ["package", str(run), "--name", "acme-ner", "--version", "1.2", "--output", str(tmp_path)]
    first = CliRunner().invoke(app, [*words, "--json"])
    assert first.exit_code == 0, first.output
    built = Path(json.loads(first.stdout)["path"])
    assert built.read_bytes() == wheel.path.read_bytes()
    second = CliRunner().invoke(app, words)
    assert second.exit_code == 1
    assert "already exists, and users must be able to rely on a version; increase it" in " ".join(second.output.split())
    with pytest.raises(OutputError, match="is not a folder"):
        build_wheel(run, name="a", output=built)
    assert [path.name for path in tmp_path.iterdir()] == [built.name]


SCRIPT = """
import json, runpy, sys
import acme_ner

documents = acme_ner.load(device="cpu").predict(json.loads(sys.argv[1]))
print(json.dumps([acme_ner.__version__, *(one.model_dump(mode="json") for one in documents)]), flush=True)
sys.argv = [sys.argv[2], "verify", "--device", "cpu"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Predicts, and then runs the console script, in one process, because importing torch takes the time of the test."""


def test_installed_it_predicts_the_same_and_verifies(environment: Path, run: Path) -> None:
    programs = environment / "bin"
    done = subprocess.run(
        [programs / "python", "-c", SCRIPT, json.dumps(TEXTS), programs / "acme-ner"],
        cwd=environment,
        env={"PATH": "", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, shown = done.stdout.split("\n", 1)
    version, *documents = json.loads(first)
    predictor = Predictor.from_pretrained(run / "model", device="cpu")
    assert version == "1.2"
    assert documents == [json.loads(one.model_dump_json()) for one in predictor.predict(TEXTS)]
    assert "verified: " in shown


@pytest.fixture
def installed(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelPackage:
    """A copy of the installation in a folder on sys.path, to be damaged."""
    for path in packages_of(environment).glob("acme_ner*"):
        shutil.copytree(path, tmp_path / path.name)
    monkeypatch.syspath_prepend(tmp_path)
    return ModelPackage("acme-ner", "1.2", tmp_path / "acme_ner")


def test_the_command_has_the_model_of_its_package(installed: ModelPackage) -> None:
    commands = typer.Typer()

    @commands.command()
    def serve(models: Annotated[list[str], typer.Argument()], *, port: int = 80, revision: str = "main") -> None:
        """Serve models."""
        typer.echo(f"{models} at {port}, {revision}")

    @commands.command()
    def other() -> None:
        """Do something without a model."""

    command = package_app(installed, commands)
    folder = installed.folder / "model"
    assert CliRunner().invoke(command, ["serve", "--port", "8"]).stdout == f"{[str(folder)]} at 8, main\n"
    assert "Serve models." in CliRunner().invoke(command, ["--help"]).stdout
    assert CliRunner().invoke(command, ["other"]).exit_code == 2
    shown = json.loads(CliRunner().invoke(command, ["info", "--json"]).stdout)
    assert (shown["version"], shown["weights"], shown["exports"]) == ("1.2", ["torch"], {})
    assert shown["fingerprint"]["weights"].keys() == {"model.safetensors"}
    assert "task: token-classification\nweights: torch\nexports: none" in CliRunner().invoke(command, ["info"]).stdout
    (folder / "config.json").unlink()
    refused = CliRunner().invoke(command, ["serve"])
    assert refused.exit_code == 2
    assert "is incomplete: it has no config.json" in refused.stderr


def test_the_usage_of_a_command_names_no_model(installed: ModelPackage) -> None:
    command = package_app(installed, inference_app)
    shown = CliRunner().invoke(command, ["verify", "--help"], env={"COLUMNS": "200"}).stdout
    assert "Replay the golden records of the model" in shown
    assert "MODEL" not in shown
    assert "--revision" not in shown
    assert "--invariance" in shown


def test_two_versions_in_one_folder_are_refused(
    installed: ModelPackage, wheel: Wheel, run: Path, tmp_path: Path
) -> None:
    """As `pip install --target` leaves them: it keeps a folder that exists, and adds the new metadata."""
    compiled = installed.folder / "model" / "__pycache__" / "shout.cpython-311.pyc"  # pip compiles sources in the model
    compiled.parent.mkdir()
    compiled.touch()
    assert installed.checked_folder() == tmp_path / "acme_ner" / "model"
    newer = build_wheel(run, name="acme-ner", version="1.3", output=tmp_path / "dist")
    pip("install", "--target", tmp_path, newer.path)
    with pytest.raises(
        ArtefactError, match=r"mixes versions: its model is 1.2, but its metadata are those of 1.2 and 1.3"
    ):
        installed.load()
    for path in tmp_path.glob("acme_ner-1.2*"):
        shutil.rmtree(path)
    expected = (
        r"metadata are those of 1.3\. Delete acme_ner and acme_ner-\*.dist-info in this folder, then install one "
        r"version: pip install --force-reinstall --no-deps acme-ner==1.2$"
    )
    with pytest.raises(ArtefactError, match=expected):
        installed.load()


def test_another_installation_that_python_finds_first_is_refused(
    installed: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(tmp_path / "acme_ner-1.2.dist-info", tmp_path / "other" / "acme_ner-2.0.dist-info")
    metadata = other / "METADATA"
    metadata.write_text(metadata.read_text().replace("\nVersion: 1.2", "\nVersion: 2.0"))
    monkeypatch.syspath_prepend(other.parent)
    with pytest.raises(ArtefactError, match=r"is 1.2, but another installation on sys.path is 2.0"):
        installed.load()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda model: (model / "tokenizer.json").unlink(), "is incomplete: it has no tokenizer.json"),
        (lambda model: (model / "old.txt").touch(), "contains files that version 1.2 does not have: old.txt"),
        (
            lambda model: (model / "config.json").write_text("{}"),
            "contains another config.json: its SHA-256 is 44136fa3",
        ),
        (lambda model: (model.parent / "manifest.json").unlink(), "is incomplete: manifest.json cannot be read"),
        (
            lambda model: (model.parent / "manifest.json").write_text(
                '{"distribution": "acme-ner", "version": "1.1", "files": {}}'
            ),
            "mixes versions: its code is acme-ner 1.2, its model acme-ner 1.1",
        ),
        (lambda model: shutil.rmtree(next(model.parents[1].glob("*.dist-info"))), "its metadata are none"),
        (lambda model: (model / "model.safetensors").write_bytes(b"0" * 100), "model.safetensors"),
    ],
)
def test_files_of_another_version_are_refused(installed: ModelPackage, damage, said: str) -> None:
    damage(installed.folder / "model")
    with pytest.raises(ArtefactError, match=said):
        installed.load(device="cpu")


@pytest.fixture
def exported(run: Path, tmp_path: Path) -> Path:
    """A model with exports that nobody loads."""
    model = shutil.copytree(run / "model", tmp_path / "model")
    for name in ("onnx/model", "onnx/model_int8", "openvino/model"):
        (model / name).parent.mkdir(exist_ok=True)
        for suffix in (".onnx", ".golden.json") if name.startswith("onnx") else (".xml", ".bin", ".golden.json"):
            (model / f"{name}{suffix}").write_text("{}")
    return model


def test_the_models_of_one_backend_come_alone(exported: Path) -> None:
    release = find_release(exported)
    assert set(release.exports) == {("onnx", "float32"), ("onnx", "int8"), ("openvino", "float32")}
    int8 = select_models(release, backend="onnx", dtypes=["int8"])
    assert int8.exports == (("onnx", "int8"),)
    assert {name for name in int8.files if "/" in name} == {"onnx/model_int8.onnx", "onnx/model_int8.golden.json"}
    assert int8.weights == {"onnx/model_int8.onnx"}
    assert "model.safetensors" not in int8.files
    assert {"golden.json", "processor_config.json"} < int8.files.keys()
    torch = select_models(release, backend="torch")
    assert (torch.exports, torch.weights) == ((), {"model.safetensors"})
    assert not any("/" in name for name in torch.files)


def test_each_model_requires_what_runs_it(exported: Path) -> None:
    fingerprint = Fingerprint(unicode="15.0.0", packages={"torch": "2.9", "regex": "1", "acme-transforms": "3.1"})
    release = find_release(exported)
    both = package_requirements(release, fingerprint, library="nlp-inference==1.0")
    assert both.required == ("nlp-inference==1.0", "acme-transforms==3.1")
    assert both.extras == {"torch": "nlp-inference[torch]==1.0", "openvino": "nlp-inference[openvino]==1.0"}
    url = "nlp-inference @ git+https://example.org/library@5f2c"
    weights = package_requirements(select_models(release, backend="torch"), None, library=url)
    assert weights.required == ("nlp-inference[torch] @ git+https://example.org/library@5f2c",)
    assert (weights.extras, weights.note) == ({}, "")


@pytest.mark.parametrize("given", ["nlp-inference", "nlp-inference>=1", "nlp-inference==1.*", "other==1", "==1"])
def test_a_requirement_that_does_not_pin_the_library_is_refused(exported: Path, given: str) -> None:
    with pytest.raises(InvalidSpecError, match=r"write one version or one source, such as 'nlp-inference==1.2.0'"):
        package_requirements(find_release(exported), None, library=given)


def test_the_library_is_pinned_to_where_it_came_from(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = select_models(find_release(exported), backend="onnx")
    version = importlib.metadata.version("nlp-inference")
    sources = [
        ({"url": "https://e.org/l", "vcs_info": {"vcs": "git", "commit_id": "5f"}}, " @ git+https://e.org/l@5f", False),
        ({"url": "file:///home/ana/library", "dir_info": {"editable": True}}, f"=={version}", True),
        (None, f"=={version}", False),
    ]
    with monkeypatch.context() as patch:
        found = []
        for source, _, _ in sources:
            for module in ("artefact.requirements", "release.package_requirements"):
                patch.setattr(f"nlp_training.{module}.distribution", lambda _, source=source: Recorded(source))
            found.append(package_requirements(release, None))
    assert [(one.required, bool(one.note)) for one in found] == [
        ((f"nlp-inference{pin}",), noted) for _, pin, noted in sources
    ]


class Recorded:
    """A distribution with a record of its source."""

    def __init__(self, source: dict[str, object] | None) -> None:
        self.source = source

    def read_text(self, _: str) -> str | None:
        return None if self.source is None else json.dumps(self.source)


def test_load_has_the_options_of_a_predictor_but_those_of_the_hub() -> None:
    of_the_hub = {"name_or_path", "revision", "token", "cache_dir", "local_files_only"}
    loading, known = (signature(one).parameters for one in (ModelPackage.load, Predictor.from_pretrained))
    assert {name: one.default for name, one in loading.items() if name != "self"} == {
        name: one.default for name, one in known.items() if name not in of_the_hub
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acme ner", "is not a package name: use ASCII letters .* for example 'acme-ner'"),
        ("-ner-", "for example 'ner'"),
        ("نمودج", "for example 'acme-ner'"),
        ("3d-ner", "the module '3d_ner', which Python cannot import; .* for example 'model-3d-ner'"),
        ("class", "the module 'class', which Python cannot import"),
        ("json", "would replace a package that the model needs; use another name, for example 'acme-json'"),
        ("NLP_Inference", "would replace a package"),
        ("scikit-learn", "would replace a package"),
        ("sklearn", "would replace a package"),
    ],
)
def test_a_name_that_pip_or_python_does_not_take_is_refused(name: str, said: str) -> None:
    with pytest.raises(InvalidSpecError, match=said):
        distribution_name(name)


def test_what_cannot_be_built_is_said_before_the_model_is_verified(run: Path) -> None:
    with pytest.raises(InvalidSpecError, match=r"'one' is not a version \(PEP 440\); write one such as '1.2.0'"):
        build_wheel(run, name="a", version="one")
    with pytest.raises(InvalidSpecError, match="dtypes select exported models of one backend"):
        build_wheel(run, name="a", dtypes=["int8"])
    with pytest.raises(PublishError, match=r"not exported to onnx in int8; it has none: run nlp-training export first"):
        build_wheel(run, name="a", backend="onnx", dtypes=["int8"])
    with pytest.raises(PublishError, match="'torch' runs the weights; remove --dtype"):
        build_wheel(run, name="a", backend="torch", dtypes=["float16"])
    with pytest.raises(ArtefactError, match="there is no model in 'no/where'"):
        build_wheel("no/where", name="a")
