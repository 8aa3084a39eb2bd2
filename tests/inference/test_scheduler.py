"""The scheduler: concurrent requests, the predictions of `Predictor.predict`."""

import asyncio
import random
import threading
from contextlib import suppress

import pytest
from fakes import ScriptedBackend

from nlp_inference import Document, MultiTask, Predictor, Processor, TextClassification, TokenClassification
from nlp_inference.architectures.input_limits import ModelLimits
from nlp_inference.errors import PredictionError
from nlp_inference.serving.failures import failure_of
from nlp_inference.serving.scheduler import Scheduler

TEXTS = [f"Ana lives in Rome, and {number} others do. " * (1 + number % 9) for number in range(80)]


class Gated(ScriptedBackend):
    """A backend that counts its calls and runs only while its gate is open."""

    name, dtype, runs_on = "scripted", "float32", "nowhere"

    def __init__(self, processor, **options):
        super().__init__(processor, {"rome": "CITY"}, **options)
        self.gate = threading.Event()
        self.gate.set()
        self.running = threading.Event()
        self.rows = []

    def use_threads(self, count):
        pass

    def forward(self, batch):
        self.running.set()
        assert self.gate.wait(30)
        self.rows.append(len(batch["input_ids"]))
        return super().forward(batch)


@pytest.fixture
def predictor(token_processor):
    return Predictor(token_processor, Gated(token_processor, token_budget=256))


def run(work, **options):
    """Run a coroutine function with a scheduler."""

    async def within():
        with Scheduler(**options) as scheduler:
            return await asyncio.wait_for(work(scheduler), 60)

    return asyncio.run(within())


def document(text, **fields):
    return Document(raw_text=text, **fields)


async def spans_of(tickets):
    return [(await ticket.future).final.predicted.spans for ticket in tickets]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_predictions_are_those_of_the_predictor(predictor, workers):
    async def work(scheduler):
        return await spans_of([scheduler.submit(predictor, document(text)) for text in TEXTS])

    expected = [one.predicted.spans for one in predictor.predict(TEXTS)]
    assert run(work, workers=workers) == expected
    assert all(expected)


def test_random_clients_of_which_some_leave_get_their_own_prediction(predictor):
    rng = random.Random(0)  # noqa: S311 - of a test

    async def client(scheduler):
        for _ in range(6):
            text = rng.choice(TEXTS)
            ticket = scheduler.submit(predictor, document(text))
            await asyncio.sleep(rng.choice([0, 0, 0.001]))
            if rng.random() < 0.3:
                ticket.future.cancel()
                continue
            trace = await ticket.future
            assert (trace.final.raw_text, bool(trace.final.predicted.spans)) == (text, True)

    async def work(scheduler):
        await asyncio.gather(*[client(scheduler) for _ in range(40)])
        return scheduler

    scheduler = run(work, workers=3)
    assert (scheduler.documents, scheduler.characters) == (0, 0)


def test_identical_texts_in_flight_are_computed_once(predictor):
    backend = predictor.backend

    async def work(scheduler):
        backend.gate.clear()
        tickets = [scheduler.submit(predictor, document("Rome", id=str(number))) for number in range(10)]
        assert scheduler.documents == 1
        backend.gate.set()
        return await spans_of(tickets)

    found = run(work)
    assert backend.rows == [1]
    assert found == [found[0]] * 10


def test_texts_that_wait_run_together(predictor):
    backend = predictor.backend

    async def work(scheduler):
        backend.gate.clear()
        first = scheduler.submit(predictor, document("Rome"))
        await asyncio.to_thread(backend.running.wait, 30)
        others = [scheduler.submit(predictor, document(f"Rome {number}")) for number in range(20)]
        backend.gate.set()
        await spans_of([first, *others])

    run(work, workers=1)
    assert backend.rows == [1, 20]


def test_a_text_that_nobody_waits_for_is_not_run(predictor):
    backend = predictor.backend

    async def work(scheduler):
        backend.gate.clear()
        first = scheduler.submit(predictor, document("Rome"))
        await asyncio.to_thread(backend.running.wait, 30)
        gone = scheduler.submit(predictor, document("Rome 2"))
        shared = [scheduler.submit(predictor, document("Rome 3")) for _ in range(2)]
        gone.future.cancel()
        shared[0].future.cancel()
        await asyncio.sleep(0)
        assert scheduler.documents == 2
        backend.gate.set()
        await spans_of([first, shared[1]])

    run(work, workers=1)
    assert backend.rows == [1, 1]


def test_a_document_that_fails_does_not_affect_the_others(predictor):
    def broken(trace):
        raise RuntimeError("rows")

    async def work(scheduler):
        tickets = [scheduler.submit(predictor, document(text)) for text in ("Rome", "fails", "Rome too")]
        return [await ticket.future for ticket in tickets]

    rows = predictor.processor.rows
    predictor.processor.rows = lambda encoded: broken(encoded) if encoded.document.text == "fails" else rows(encoded)
    try:
        done = run(work)
    finally:
        del predictor.processor.rows
    assert [str(trace.failure) if trace.failure else "" for trace in done] == ["", "rows", ""]


def test_documents_are_read_as_the_predictor_reads_them(token_processor):
    """A limit of the predictor, and a text pair that its model cannot read, fail as in `Predictor.predict`."""
    backend = Gated(token_processor)
    backend.limits = ModelLimits(token_types=1)
    strict = Predictor(token_processor, backend, max_characters=10)

    async def work(scheduler):
        documents = [document("Rome"), document("a" * 11), document("Rome", raw_text_pair="Bob")]
        return [await scheduler.submit(strict, one).future for one in documents]

    done = run(work)
    assert [type(trace.failure).__name__ for trace in done] == ["NoneType", "TooLargeError", "InvalidDocumentError"]
    two_types = "the tokenizer marks text pairs with 2 token types, but the model has embeddings for 1"
    assert [failure_of(trace.failure).message for trace in done[1:]] == [
        "the document has 11 characters; the limit is 10. Split it, or increase max_characters (--max-characters)",
        f"the document has a text pair, but {two_types}",
    ]


def test_an_error_of_the_server_itself_fails_its_texts_and_the_next_ones_are_predicted(predictor, caplog):
    async def work(scheduler):
        def fail(traces):
            raise ZeroDivisionError(traces[0].document.raw_text)

        predictor.route.complete = fail
        failed = await scheduler.submit(predictor, document("Rome")).future
        del predictor.route.complete
        return failed, await scheduler.submit(predictor, document("Rome")).future

    failed, done = run(work)
    assert type(failed.failure) is ZeroDivisionError
    assert done.final.predicted.spans
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


def test_closing_completes_what_was_accepted_and_refuses_the_rest(predictor):
    async def work():
        scheduler = Scheduler(workers=2)
        tickets = [scheduler.submit(predictor, document(text)) for text in TEXTS]
        await asyncio.to_thread(scheduler.close)
        with pytest.raises(PredictionError, match="shutting down"):
            scheduler.submit(predictor, document("Rome"))
        return await spans_of(tickets)

    assert all(asyncio.run(work()))


def test_a_replaced_model_completes_its_texts_and_is_forgotten(predictor, token_processor):
    other = Predictor(token_processor, Gated(token_processor))

    async def work(scheduler):
        old = [scheduler.submit(predictor, document(text)) for text in TEXTS]
        scheduler.retire(predictor)
        new = [scheduler.submit(other, document(text)) for text in TEXTS]
        await spans_of(old + new)
        return list(scheduler._lanes.values())

    assert [lane.predictor for lane in run(work)] == [other]


def test_heads_are_decoded_as_requested(tokenizer):
    task = MultiTask(heads={"slots": TokenClassification(labels=("CITY",)), "topic": TextClassification(labels=("a",))})
    processor = Processor(tokenizer, task)

    class Heads:
        name, dtype, runs_on, threads, token_budget = "heads", "float32", "nowhere", 1, 256

        def use_threads(self, count):
            pass

        def forward(self, batch):
            import numpy as np

            rows, tokens = batch["input_ids"].shape
            return {
                "slots_logits": np.zeros((rows, tokens, 3), dtype=np.float32),
                "topic_logits": np.zeros((rows, 1), dtype=np.float32),
            }

    predictor = Predictor(processor, Heads())
    only = predictor.with_heads(["topic"])

    async def work(scheduler):
        tickets = [scheduler.submit(predictor, document("Rome"), decoder=one) for one in (None, only)]
        return [sorted((await ticket.future).final.predicted.heads) for ticket in tickets]

    assert run(work) == [["slots", "topic"], ["topic"]]


def test_a_closed_event_loop_does_not_stop_the_workers(predictor):
    scheduler = Scheduler(workers=1)

    async def leave():
        predictor.backend.gate.clear()
        scheduler.submit(predictor, document("Rome"))

    asyncio.run(leave())
    predictor.backend.gate.set()

    async def again():
        return await scheduler.submit(predictor, document("Rome, again")).future

    assert asyncio.run(asyncio.wait_for(again(), 30)).final.predicted.spans
    with suppress(RuntimeError):
        scheduler.close()


def test_short_texts_pass_a_long_one_that_is_encoded(token_processor, monkeypatch):
    predictor = Predictor(token_processor, Gated(token_processor))
    encode, encoding, gate = predictor.route.encode, threading.Event(), threading.Event()

    def gated(traces):
        if len(traces[0].document.raw_text) > 4_000:
            encoding.set()
            assert gate.wait(30)
        return encode(traces)

    monkeypatch.setattr(predictor.route, "encode", gated)

    async def work(scheduler):
        long = scheduler.submit(predictor, document("Ana lives in Rome. " * 300))
        assert await asyncio.to_thread(encoding.wait, 30)
        also_long = scheduler.submit(predictor, document("Bob lives in Rome. " * 300))
        short = [await scheduler.submit(predictor, document(text)).future for text in TEXTS[:3]]
        assert not long.future.done()
        gate.set()
        return [*short, await long.future, await also_long.future]

    traces = run(work, workers=2)
    expected = predictor.predict([trace.document.raw_text for trace in traces])
    assert [trace.final.predicted for trace in traces] == [one.predicted for one in expected]
