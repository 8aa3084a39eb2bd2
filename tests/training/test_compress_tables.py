"""What a compression shows of its candidates: tables that fit a narrow terminal, and the plot."""

from io import StringIO

import pytest
from rich.console import Console

from nlp_training.compress import Candidate, CompressOptions
from nlp_training.compress.candidates import SetScore
from nlp_training.compress.measuring import Measured
from nlp_training.compress.page import plot
from nlp_training.compress.run import Compression
from nlp_training.compress.tables import candidate_tables


def candidate(student, drop, speed, *, backend="onnx", dtype="int8"):
    score = SetScore(name="f1", teacher=0.99, value=0.99 - drop / 100, drop=drop, interval=(-1, 1), documents=9)
    sizes = {"p50": 2.0, "p95": 3.0, "disk": 15.6, "resident": 530.0, "start": 3.83}
    measured = Measured(documents_per_second=speed, **sizes)
    return Candidate(
        student=student, backend=backend, dtype=dtype, layers={"encoder": 2}, validation=score, measured=measured
    )


def compression(*drops, max_drop=0.5):
    found = Compression("pii", [], [], CompressOptions(max_drop=max_drop))
    found.candidates = [candidate("", 0.0, 100, backend="torch", dtype="float32")]
    found.candidates += [
        candidate(f"layers-0-2-4-ff{number}", drop, 1000 + number) for number, drop in enumerate(drops)
    ]
    return found


def test_every_figure_is_readable_in_80_columns():
    shown = StringIO()
    Console(file=shown, width=80).print(*candidate_tables(compression(0.25)))
    text = shown.getvalue()
    for cell in ("0.9875", "-0.25", "-1.00 to +1.00", "1,000", "10.0", "2.00", "3.00", "15.6", "530", "3.83"):
        assert f" {cell} " in text
    assert "…" not in text


@pytest.mark.parametrize(
    ("drops", "max_drop", "is_drawn"), [((0.1,), 0.5, True), ((3.0,), 0.5, True), ((0.1,), 100, False)]
)
def test_the_allowed_loss_is_drawn_unless_it_is_far_away(drops, max_drop, is_drawn):
    drawn = plot(compression(*drops, max_drop=max_drop))
    assert (drawn.limit is not None) is is_drawn
