"""A batch that does not fit into memory is halved, and so are those that come after it; nothing else changes."""

import warnings

import pytest
from fakes import ScriptedBackend

from nlp_inference import FailedDocument, Predictor

TEXTS = ["in Rome " * (1 + number % 6) for number in range(50)]
SAID = [
    MemoryError(),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.1 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    Exception("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer of size 9"),
    Exception("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"),
]


class SmallMemory(ScriptedBackend):
    """Has room for batches of so many tokens."""

    room, error = 10**9, MemoryError()

    def forward(self, batch):
        tokens = batch["input_ids"].size
        self.asked.append(tokens)
        if tokens > self.room:
            raise self.error
        return super().forward(batch)


@pytest.fixture
def predictor(token_processor):
    backend = SmallMemory(token_processor, {"rome": "CITY"}, token_budget=512)
    backend.asked = []
    return Predictor(token_processor, backend)


@pytest.mark.parametrize("error", SAID, ids=lambda error: type(error).__name__)
def test_the_budget_is_halved_until_batches_fit_and_stays_so(predictor, error):
    expected = predictor.predict(TEXTS)
    assert max(predictor.backend.asked) > 60
    predictor.backend.room, predictor.backend.error = 60, error
    with pytest.warns(RuntimeWarning, match=r"out of memory with a batch of \d+ tokens; later batches") as told:
        assert predictor.predict(TEXTS) == expected
    assert 1 <= len(told) <= 3
    predictor.backend.asked.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert predictor.predict(TEXTS) == expected
    assert max(predictor.backend.asked) <= 60


def test_a_row_that_does_not_fit_alone_fails_its_document_and_no_other(predictor):
    predictor.backend.room = 12
    with pytest.warns(RuntimeWarning, match="out of memory"):
        results = predictor.predict(["Rome", "word " * 20, "in Rome", "word " * 20], on_error="record")
    assert [isinstance(result, FailedDocument) for result in results] == [False, True, False, True]
    assert (results[1].id, results[1].error) == ("1", "MemoryError")


def test_other_errors_do_not_make_batches_smaller(predictor):
    predictor.backend.room, predictor.backend.error = 60, IndexError("index out of range in self")
    predictor.predict(TEXTS)
    predictor.backend.asked.clear()
    predictor.backend.room = 10**9
    predictor.predict(TEXTS)
    assert max(predictor.backend.asked) > 60
