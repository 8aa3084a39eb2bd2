"""A Predictor goes to other processes as an object, however they start; threads and fork are in test_workers.py."""

import multiprocessing

import pytest

from nlp_inference import Predictor

TEXTS = [f"Ana number {number} lives in Rome" for number in range(40)]


def found_in(documents) -> list[list[tuple[int, int, str]]]:
    return [[(span.start, span.end, span.label) for span in document.predicted.spans] for document in documents]


@pytest.mark.parametrize("shares", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_loaded_predictor_goes_to_spawned_processes(saved_model, shares: int) -> None:
    with Predictor.from_pretrained(saved_model, device="cpu") as predictor:
        expected = predictor.predict(TEXTS)
        size = len(TEXTS) // shares
        parts = [TEXTS[begin : begin + size] for begin in range(0, len(TEXTS), size)]
        with multiprocessing.get_context("spawn").Pool(shares) as pool:
            answers = pool.map(predictor.predict, parts)
    assert found_in(document for answer in answers for document in answer) == found_in(expected)
    assert any(found_in(expected))
