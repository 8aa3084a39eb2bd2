"""Batches that run at the same time give what they give one after the other, in their order."""

import gc
import multiprocessing
import pickle
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny_models import tiny_model

from nlp_inference import Document, Predictor
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.predict.workers import MAX_WORKERS, Workers


class Threads:
    """A backend of which only the threads matter; says how many each thread was told to use."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.told: dict[int, int] = {}

    def use_threads(self, count: int) -> None:
        self.told[threading.get_ident()] = count


class Silent:
    """A backend of two threads that can be pickled."""

    threads = 2

    def use_threads(self, count: int) -> None:
        pass


@pytest.mark.parametrize(
    ("threads", "asked", "workers", "each"),
    [
        (1, None, 1, None),
        (2, None, 2, 1),
        (4, 2, 2, 2),
        (3, 2, 2, 1),
        (2, 8, 2, 1),
        (16, None, MAX_WORKERS, 2),
        (4, 1, 1, None),
    ],
)
def test_the_threads_are_shared_out(threads: int, asked: int | None, workers: int, each: int | None) -> None:
    backend = Threads(threads)
    with Workers(backend, count=asked) as pool:
        assert pool.count == workers
        assert list(pool.map(str, range(40))) == [str(number) for number in range(40)]
    me = threading.get_ident()
    told = {thread: count for thread, count in backend.told.items() if thread != me}
    assert list(told.values()) == ([] if each is None else [each] * workers)
    assert backend.told.get(me) == (None if each is None else threads)


def test_the_results_come_in_the_order_of_the_batches() -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number

    with Workers(Threads(4)) as pool:
        assert list(pool.map(slow_first, range(20))) == list(range(20))


def test_a_single_batch_runs_where_it_was_asked_for_on_all_threads() -> None:
    with Workers(Threads(4)) as pool:
        assert list(pool.map(lambda _: threading.get_ident(), [0])) == [threading.get_ident()]


def test_several_batches_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)  # which nobody passes alone
    with Workers(Threads(2)) as pool:
        assert sorted(pool.map(lambda _: meeting.wait(), [0, 1])) == [0, 1]


def test_what_was_closed_begins_again_and_leaves_no_thread() -> None:
    pool = Workers(Threads(2))
    before = threading.active_count()
    assert list(pool.map(str, [1, 2])) == ["1", "2"]
    pool.close()
    assert threading.active_count() == before
    assert list(pool.map(str, [3, 4])) == ["3", "4"]
    pool.close()


def test_a_backend_that_cannot_share_its_threads_is_an_error_and_no_wait_without_end() -> None:
    class Stubborn(Threads):
        def use_threads(self, count: int) -> None:
            raise RuntimeError(f"not {count} threads")

    with Workers(Stubborn(4)) as pool, pytest.raises(RuntimeError, match="not 1 threads"):
        pool.map(str, [1, 2])


def test_an_error_is_that_of_its_batch() -> None:
    with Workers(Threads(2)) as pool:
        results = pool.map(lambda number: 1 // number, [1, 0])
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)


@pytest.fixture
def many_switches():
    """Let threads interrupt each other as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def run_in_threads(*runs: Callable[[], object]) -> list[BaseException]:
    """Run all at the same time; the errors that they end with. A thread that does not end is an error too."""
    errors: list[BaseException] = []

    def caught(run: Callable[[], object]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - it is what is tested
            errors.append(error)

    threads = [threading.Thread(target=caught, args=(run,), daemon=True) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [*errors, *(TimeoutError(thread.name) for thread in threads if thread.is_alive())]


def test_closing_while_others_run_batches_loses_none_and_blocks_none(many_switches) -> None:
    pool = Workers(Threads(3))
    before = threading.active_count()

    def run() -> None:
        for _ in range(60):
            assert list(pool.map(str, range(4))) == ["0", "1", "2", "3"]

    def close() -> None:
        for _ in range(60):
            pool.close()
            time.sleep(0)

    assert run_in_threads(run, close, run, close, run, run, close, run) == []
    pool.close()
    assert threading.active_count() == before


def test_closing_waits_for_the_batches_that_began() -> None:
    pool, may_finish = Workers(Threads(2)), threading.Event()
    results = pool.map(lambda number: may_finish.wait(30) and number, [1, 2])
    closing = threading.Thread(target=pool.close)
    closing.start()
    assert list(pool.map(str, [3, 4])) == ["3", "4"]  # on new threads
    assert closing.is_alive()
    may_finish.set()
    assert list(results) == [1, 2]
    closing.join(30)
    pool.close()
    assert not closing.is_alive()


def test_pickling_while_others_run_batches_and_close(many_switches) -> None:
    pool = Workers(Silent())

    def run() -> None:
        for _ in range(30):
            assert list(pool.map(str, [1, 2])) == ["1", "2"]

    def copy() -> None:
        for _ in range(30):
            with pickle.loads(pickle.dumps(pool)) as other:  # noqa: S301 - our own
                assert (other.count, list(other.map(str, [3, 4]))) == (2, ["3", "4"])
            pool.close()

    assert run_in_threads(run, copy, run, copy) == []
    pool.close()


def test_threads_end_with_their_workers() -> None:
    pool = Workers(Threads(2))
    before = set(threading.enumerate())
    assert list(pool.map(str, [1, 2])) == ["1", "2"]
    started = set(threading.enumerate()) - before
    assert len(started) == 2
    del pool
    gc.collect()
    for thread in started:
        thread.join(30)
    assert not any(thread.is_alive() for thread in started)


def test_a_thread_that_cannot_be_started_is_an_error_and_blocks_none(monkeypatch) -> None:
    pool, started, start = Workers(Threads(3)), [], threading.Thread.start

    def only_two(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", only_two)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            pool.map(str, [1, 2])
    for thread in started:
        thread.join(30)
    assert not any(thread.is_alive() for thread in started)
    with pool:
        assert list(pool.map(str, [1, 2])) == ["1", "2"]


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


TEXTS = [f"Ana lives in Rome and writes {'word ' * (number % 60)}" for number in range(300)]


def test_predictions_do_not_depend_on_the_workers(token_processor, two_threads) -> None:
    model = tiny_model(token_processor.task)
    with Predictor(token_processor, TorchBackend(model, task=token_processor.task)) as several:
        found = several.predict(TEXTS)
        assert several.route.workers.count == 2
    with Predictor(token_processor, TorchBackend(model, task=token_processor.task), workers=1) as one:
        assert one.predict(TEXTS) == found
    assert torch.get_num_threads() == 2


def test_a_predictor_is_shared_by_threads_that_ask_at_the_same_time(token_processor, two_threads) -> None:
    with Predictor(
        token_processor, TorchBackend(tiny_model(token_processor.task), task=token_processor.task)
    ) as shared:
        expected = shared.predict(TEXTS)
        answers: dict[int, list[Document]] = {}
        asking = [threading.Thread(target=lambda n=n: answers.update({n: shared.predict(TEXTS)})) for n in range(4)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
    assert [answers[number] == expected for number in range(4)] == [True] * 4
    assert shared.profile().documents == 5 * len(TEXTS)


def test_a_predictor_that_is_closed_while_others_predict(token_processor, two_threads, many_switches) -> None:
    texts = TEXTS[:8]
    model = tiny_model(token_processor.task)
    shared = Predictor(token_processor, TorchBackend(model, task=token_processor.task), token_budget=64)
    expected = shared.predict(texts)

    def predict() -> None:
        for _ in range(4):
            with shared:
                assert shared.predict(texts) == expected
            assert list(shared.stream(texts)) == expected

    assert run_in_threads(*[predict] * 4, *[shared.close] * 2) == []
    shared.close()
    assert shared.predict(texts) == expected
    shared.close()


def test_a_predictor_that_has_predicted_is_pickled(token_processor, two_threads) -> None:
    with Predictor(token_processor, TorchBackend(tiny_model(token_processor.task), task=token_processor.task)) as first:
        expected = first.predict(TEXTS[:40])
        with pickle.loads(pickle.dumps(first)) as again:  # noqa: S301 - of our own
            assert again.predict(TEXTS[:40]) == expected


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # that is what is tried
def test_a_forked_process_starts_workers_of_its_own() -> None:
    pool = Workers(Threads(2))
    assert list(pool.map(str, [1, 2])) == ["1", "2"]
    context = multiprocessing.get_context("fork")
    reading, writing = context.Pipe(duplex=False)
    child = context.Process(target=lambda: writing.send(list(pool.map(str, [3, 4]))))
    child.start()
    assert reading.poll(20)
    assert reading.recv() == ["3", "4"]
    child.join(20)
    pool.close()
    assert child.exitcode == 0


def test_a_forward_of_several_threads_is_that_of_one_but_for_rounding(token_processor, two_threads) -> None:
    backend = TorchBackend(tiny_model(token_processor.task), task=token_processor.task)
    batch = dict(token_processor(TEXTS[:16], return_tensors="np"))
    whole = backend.forward(batch)["logits"]
    backend.use_threads(1)
    assert np.allclose(backend.forward(batch)["logits"], whole, rtol=0, atol=1e-6)


class Gated:
    """Waits with its first batch until it was asked for the next chunk's."""

    threads, token_budget = 1, 4

    def __init__(self) -> None:
        self.next_chunk_was_read = threading.Event()
        self.forwarded: list[int] = []

    def forward(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert self.next_chunk_was_read.wait(10), "the next texts are read only after the answers"
        self.forwarded.append(len(batch["input_ids"]))
        return {"logits": np.zeros((*batch["input_ids"].shape, 5), dtype=np.float32)}


def test_the_next_texts_are_read_and_encoded_while_the_model_works(token_processor, monkeypatch) -> None:
    monkeypatch.setattr("nlp_inference.document.inputs.LOOK_AHEAD_DOCUMENTS", 2)
    backend = Gated()

    def texts():
        for number in range(6):
            if number == 3:
                backend.next_chunk_was_read.set()
            yield f"text {number}"

    with Predictor(token_processor, backend) as predictor:
        assert [document.id for document in predictor.stream(texts())] == ["0", "1", "2", "3", "4", "5"]
    assert backend.forwarded == [1] * 6


def test_the_model_begins_with_the_longest_of_many_texts_while_the_others_are_encoded(
    token_processor, monkeypatch
) -> None:
    backend = Gated()
    encoded: list[list[int]] = []
    encode = token_processor.encode

    def slow_after_the_first(documents):
        assert not encoded or backend.next_chunk_was_read.wait(10), "the model begins only when all is encoded"
        encoded.append([len(document.raw_text) for document in documents])
        return encode(documents)

    forward = backend.forward

    def opening(batch):
        backend.next_chunk_was_read.set()
        return forward(batch)

    backend.forward = opening
    monkeypatch.setattr(token_processor, "encode", slow_after_the_first)
    texts = ["a " * (1 + 7 * number % 128) for number in range(128)]
    with Predictor(token_processor, backend, token_budget=100) as predictor:
        assert [document.raw_text for document in predictor.predict(texts)] == texts
    assert len(encoded) == 5  # 16,384 characters are 4,096 tokens or so, and a wave has eight budgets of 100
    assert [size for wave in encoded for size in sorted(wave, reverse=True)] == sorted(map(len, texts), reverse=True)
    assert max(map(sum, encoded)) - min(map(sum, encoded)) <= 2 * 256


def test_what_nobody_waits_for_any_more_is_not_begun(token_processor, monkeypatch) -> None:
    monkeypatch.setattr("nlp_inference.document.inputs.LOOK_AHEAD_DOCUMENTS", 20)
    backend = Gated()
    backend.next_chunk_was_read.set()
    with Predictor(token_processor, backend) as predictor:
        results = predictor.stream(f"text {number}" for number in range(100))
        assert next(results).id == "0"
        gone = len(backend.forwarded)
        del results
    assert gone <= len(backend.forwarded) <= 41
    assert len(backend.forwarded) < 100


def test_what_began_before_the_source_failed_is_answered_first(token_processor, monkeypatch) -> None:
    monkeypatch.setattr("nlp_inference.document.inputs.LOOK_AHEAD_DOCUMENTS", 2)

    def texts():
        yield from ("one", "two", "three")
        raise OSError("the disk is gone")

    backend = Gated()
    backend.next_chunk_was_read.set()
    found = []
    with Predictor(token_processor, backend) as predictor, pytest.raises(OSError, match="the disk is gone"):
        found.extend(predictor.stream(texts()))
    assert [document.raw_text for document in found] == ["one", "two", "three"]
