"""`verify` catches every planted skew, and blames the stage that it was planted in."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- planted skews -->\n", "\n<!-- end of planted skews -->"


def _script() -> ModuleType:
    """The command that makes the table of docs/parity.md."""
    path = ROOT / "benchmarks" / "planted_skews.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


planted_skews = _script()
_PARITY = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefact")
    planted_skews.make_artefact(folder)
    return folder


@pytest.mark.parametrize("skew", planted_skews.SKEWS, ids=lambda skew: skew.what)
def test_a_planted_skew_is_blamed_on_its_stage(skew, artefact: Path, tmp_path: Path) -> None:
    assert planted_skews.blame(skew, artefact, tmp_path / "skewed") == skew.blamed


LATE = (
    "one weight, slightly, at position 40",
    "two labels of token 40 are swapped",
    "the tokens after the 40th are reversed",
)


@pytest.mark.parametrize("what", LATE)
def test_what_only_late_tokens_show_is_seen_at_token_40(what: str, artefact: Path, tmp_path: Path) -> None:
    [skew] = [skew for skew in planted_skews.SKEWS if skew.what == what]
    verification = planted_skews.replay(skew, artefact, tmp_path / "skewed")
    assert {difference.where for difference in verification.differences} == {"window 0, logits, value [40, 0]"}


def test_without_a_skew_nothing_is_blamed_and_every_number_is_the_same_to_the_last_bit(artefact: Path) -> None:
    verification = planted_skews.verify(
        planted_skews.Predictor.from_pretrained(artefact, device="cpu"), planted_skews.read_golden(artefact)
    )
    assert verification.ok
    assert verification.bit_for_bit == verification.records >= 32


def test_the_table_of_the_docs_is_what_the_command_makes() -> None:
    """Each row is made of what a skew was blamed on, which the tests above hold to `skew.blamed`."""
    table = planted_skews.table({skew.what: skew.blamed for skew in planted_skews.SKEWS})
    assert _PARITY.partition(BEGIN)[2].partition(END)[0] == table
