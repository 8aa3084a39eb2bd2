"""Law 3: artefacts that an earlier version of this library saved load and verify.

`tests/fixtures/format_1` was written by the code of format version 1: one artefact for each task with the word rule of
that version, and one with `words: whitespace`. Their texts hold decomposed accents, Unicode white space, invisible
characters, words without spaces, and several windows. None of them has an unknown token or text that preprocessing
deletes: coverage reports both since then.
"""

from pathlib import Path

import pytest

from nlp_inference import Predictor
from nlp_inference.golden import read_golden, verify

pytest.importorskip("torch")

FOLDERS = sorted((Path(__file__).parents[1] / "fixtures" / "format_1").iterdir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_law_3_artefacts_of_format_1_load_and_verify(folder: Path) -> None:
    predictor = Predictor.from_pretrained(folder)
    verification = verify(predictor, read_golden(folder))
    assert verification.records >= 10
    assert verification.differences == ()
