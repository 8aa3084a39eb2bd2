"""A small package of a user, as pip would install it, and a place that knows nothing of it."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from nlp_inference import PostTransform, Task, Transform

SOURCE = """
from nlp_inference import Transform
from nlp_inference.transforms import text_transform

from .volume import louder


class Shout(Transform):
    name = "shout"
    version = 3
    mark: str = "!"

    def propose(self, text):
        return louder(text) + self.mark


@text_transform(name="whisper")
def whisper(text):
    return text.lower()
"""
HELPER = "def louder(text):\n    return text.upper()\n"
ENTRY_POINTS = """
[nlp_inference.transforms]
shout = loud_texts.changes:Shout
whisper = loud_texts.changes:whisper
"""


class Machine:
    """What is installed in this process, which the test may change."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site = root / "site-packages"
        self.modules = root / "hf_modules"
        self.members = {kind: dict(kind.members) for kind in (Transform, PostTransform, Task)}
        monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(self.modules))
        monkeypatch.setattr(sys, "path", [str(self.site), *sys.path])

    def install(self, source: str = SOURCE, *, helper: str = HELPER, entry_points: str = ENTRY_POINTS) -> None:
        """Install the package `loud-texts` 1.2."""
        self.uninstall()
        files = {
            "loud_texts/__init__.py": "",
            "loud_texts/changes.py": dedent(source),
            "loud_texts/volume.py": helper,
            "loud_texts-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: loud-texts\nVersion: 1.2\n",
            "loud_texts-1.2.dist-info/entry_points.txt": entry_points,
        }
        for name, content in files.items():
            path = self.site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")

    def uninstall(self) -> None:
        """Remove the package, and forget all that was imported of it."""
        for path in sorted(self.site.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        self.forget()

    def forget(self) -> None:
        """As if the process began anew."""
        for name in [name for name in sys.modules if name.split(".")[0] in {"loud_texts", "transformers_modules"}]:
            del sys.modules[name]
        for kind, members in self.members.items():
            kind.members.clear()
            kind.members.update(members)
        sys.path_importer_cache.clear()
