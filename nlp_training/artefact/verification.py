"""The verification at the end of a run that the saved model, loaded as in production, repeats its golden records."""

import warnings
from pathlib import Path

from rich.text import Text

from nlp_inference import Predictor
from nlp_inference.backends.descriptors import REFERENCE
from nlp_inference.backends.padding import PaddingWarning
from nlp_inference.golden import read_golden, verify
from nlp_training.provenance.manifest import Replay


def replay_golden(model: Path) -> Replay:
    """Load a saved model and replay its golden records: each text alone, and all texts in batches.

    Args:
        model: the folder of the artefact.

    Raises:
        ArtefactError: the model cannot be loaded.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PaddingWarning)  # the result contains it
        predictor = Predictor.from_pretrained(model, backend=REFERENCE)
    with predictor:
        found = verify(predictor, read_golden(model))
        return Replay(
            records=found.records,
            bit_for_bit=found.bit_for_bit,
            failing=found.failing,
            differing=len(found.differences),
            first=None if found.first is None else str(found.first),
            rows_apart=bool(getattr(predictor.backend, "padding_matters", False)),
        )


def replay_lines(replay: Replay, model: Path) -> list[Text]:
    """Return the lines that a run prints about the replay.

    Example:
        >>> [str(line) for line in replay_lines(Replay(records=40, bit_for_bit=40), Path("model"))]
        ['verified: 40 golden records, alone and in batches, 40 bit for bit']
    """
    lines = [Text(replay.summary(model), style="green" if replay.ok else "bold red")]
    if replay.padding_note:
        lines.append(Text(replay.padding_note, style="yellow"))
    return lines
