"""CONTRIBUTING.md names files that are there, and the entry point groups that the code asks for."""

import re
from pathlib import Path

import pytest

from nlp_inference import PostTransform, Task, Transform, registry
from nlp_inference.architectures import custom_architectures
from nlp_training.augment import Augmentation
from nlp_training.data.formats import installed
from nlp_training.evaluation import Fitter
from nlp_training.gold import GoldKind
from nlp_training.losses import Loss
from nlp_training.metrics import Metric

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
KINDS = (Transform, PostTransform, Task, GoldKind, Fitter, Loss, Metric, Augmentation)


def test_the_files_that_it_names_are_there():
    top = "nlp_inference|nlp_training|tests|docs|scripts"
    paths = re.findall(rf"`((?:{top})/[\w./]+)`", PAGE) + re.findall(r"\]\(([\w./]+)\)", PAGE)
    named = [path for path in paths if "NAME" not in path]
    assert len(named) > 40
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_folders_of_new_files_are_there():
    folders = [Path(path).parent for path in re.findall(r"`([\w./]+/\w*NAME\.py)`", PAGE)]
    assert len(folders) > 6
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


def test_it_names_every_entry_point_group(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr(registry, "entry_points", lambda *, group: asked.append(group) or ())
    for kind in KINDS:
        kind.entry_points()
    table = re.findall(r"^\| [\w -]+ \| `(nlp_\w+\.\w+)` \|", PAGE, re.MULTILINE)
    assert set(table) == {*asked, custom_architectures.GROUP, installed.GROUP, "nlp_inference.backends"}


def test_each_kind_of_the_table_has_a_section():
    kinds = re.findall(r"^\| ([\w -]+) \| `nlp_", PAGE, re.MULTILINE)
    sections = re.findall(r"^### Add an? ([\w -]+)$", PAGE, re.MULTILINE)
    assert sorted({*kinds} - {"model class"}) == sorted(sections)
