"""`make docs` builds the documentation site: without warnings, without the network, with every public name."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nlp_inference
import nlp_training
from nlp_inference import PostTransform, Task, Transform
from nlp_training.augment import Augmentation
from nlp_training.gold import GoldKind
from nlp_training.losses import Loss

pytest.importorskip("mkdocs", reason="needs the extra docs")
pytest.importorskip("mkdocstrings", reason="needs the extra docs")

ROOT = Path(__file__).parents[2]
NO_NETWORK = """
import socket


def refuse(*_, **__):
    raise OSError("the build of the documentation must not need the network")


socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""
LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(NO_NETWORK)
    paths = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder / "site")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout + done.stderr == ""
    return folder / "site"


def test_the_site_loads_nothing_from_another_host(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    assert {address for page in pages for address in LOADED.findall(page.read_text())} == set()
    assert not [style for style in site.rglob("*.css") if re.search(r"url\(['\"]?(?:https?:)?//", style.read_text())]


@pytest.fixture(scope="module")
def anchors(site):
    """What the reference pages document, by dotted names."""
    text = "".join(page.read_text() for page in (site / "reference").glob("*.html"))
    return set(re.findall(r'id="(nlp_[\w.]+)"', text))


def test_the_reference_has_every_public_name(anchors):
    names = [f"{package.__name__}.{name}" for package in (nlp_inference, nlp_training) for name in package.__all__]
    assert [name for name in names if name not in anchors] == []


@pytest.mark.parametrize("kind", [Transform, PostTransform, Task, Loss, Augmentation, GoldKind])
def test_the_reference_has_every_built_in_class(anchors, kind):
    documented = {anchor.rpartition(".")[2] for anchor in anchors}
    built_in = [one for one in kind.members.values() if one.__module__.startswith(("nlp_inference.", "nlp_training."))]
    names = {one.__name__ for one in built_in if not one.__name__.startswith("_")}
    assert names - documented == set()


def test_the_reference_has_every_command(site):
    text = (site / "reference" / "commands.html").read_text()
    assert {"nlp-inference-predict", "nlp-training-train", "nlp-training-runs-compare"} <= set(
        re.findall(r'id="([\w-]+)"', text)
    )


def test_links_of_the_repository_lead_to_pages(site):
    """README.md links to docs/data.md, and a page of docs/ to a file of configs/."""
    start = (site / "index.html").read_text()
    assert 'href="data.html"' in start
    assert "docs/" not in re.findall(r'href="([^"]*)"', start)
    assert 'href="configs/calibrated_intents.yaml"' in (site / "metrics.html").read_text()
    assert (site / "configs" / "calibrated_intents.yaml").is_file()


def test_every_page_of_docs_and_every_notebook_is_in_the_site(site):
    pages = [path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")]
    pages += [Path("examples", path.stem + ".html") for path in (ROOT / "examples").glob("*.ipynb")]
    pages += [Path("index.html"), Path("contributing.html"), Path("changelog.html")]
    assert [page for page in pages if not (site / page).is_file()] == []


def test_make_docs_builds_it_with_the_extra():
    makefile = (ROOT / "Makefile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"mkdocs", "mkdocs-material", "mkdocstrings"} == {re.split(r"[>\[]", line)[0] for line in extras["docs"]}
    assert "mkdocs build --strict" in makefile
    assert "/site/" in (ROOT / ".gitignore").read_text().splitlines()
