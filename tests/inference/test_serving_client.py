"""The client of the server: the Documents of a Predictor."""

import asyncio

import pytest
from served import running
from test_scheduler import Gated

from nlp_inference import Document, FailedDocument, Predictor
from nlp_inference.errors import InvalidDocumentError, ServerError
from nlp_inference.serving import AsyncClient, Client, ServerSettings, create_app

TEXT = "<b>Ana</b> lives in Rome 😀"


@pytest.fixture(scope="module")
def predictor(token_processor):
    return Predictor(token_processor, Gated(token_processor))


@pytest.fixture(scope="module")
def url(predictor):
    settings = ServerSettings(max_characters=200, max_queue=300)
    with running(create_app({"spans": predictor}, settings=settings)) as url:
        yield url


@pytest.fixture
def client(url):
    with Client(url) as client:
        yield client


def test_one_text_gives_the_document_of_the_predictor(client, predictor):
    document = Document(raw_text=TEXT, id="a", metadata={"n": float(2)})
    explained = client.predict(document, explain=True)
    assert explained == predictor.predict(document)
    assert client.predict(document) == explained.model_copy(update={"edits": ()})
    assert client.predict(TEXT).predicted == explained.predicted
    assert client.predict({"text": TEXT, "id": 7, "lang": "en"}).metadata == {"lang": "en"}


def test_several_texts_keep_their_order_and_their_ids(client, predictor):
    texts = [f"Rome {number}" for number in range(600)]
    assert client.predict(texts) == predictor.predict(texts)


def test_a_stream_has_a_failed_document_for_each_that_fails(client):
    items = ["Rome", "a" * 201, {"text": "Rome", "id": "last"}]
    first, failed, last = client.stream(iter(items))
    assert (first.id, last.id) == ("0", "last")
    assert failed == FailedDocument(
        id="1", error="TooLargeError", message="document '1' has 201 characters; the limit is 200. Split it"
    )
    assert first.predicted.spans == last.predicted.spans


def test_errors_of_the_server_have_their_message(client):
    with pytest.raises(ServerError, match=r"status 413: document '0' has 201 characters"):
        client.predict("a" * 201)
    with pytest.raises(ServerError, match=r"status 422: the model 'spans' has no head 'x'"):
        client.predict("a", heads=["x"])
    with pytest.raises(InvalidDocumentError):
        client.predict("\ud83d")


def test_info_and_ready(client):
    assert client.info().models[0].name == "spans"
    assert client.ready()
    assert not Client("http://127.0.0.1:9").ready()


def test_a_busy_server_is_asked_again(client, monkeypatch):
    waited = []
    monkeypatch.setattr("nlp_inference.serving.client.time.sleep", waited.append)
    monkeypatch.setattr(
        "nlp_inference.serving.predictions.Predictions.check_room", _busy_for_the_first(2), raising=True
    )
    assert client.predict("Rome").predicted.spans
    assert waited == [2.0, 2.0]


def _busy_for_the_first(times):
    from nlp_inference.serving.failures import RequestError

    calls = []

    def check(*_, **__):
        calls.append(1)
        if len(calls) <= times:
            raise RequestError(429, "busy", retry_after=1.5)

    return check


def test_the_asynchronous_client_gives_the_same(url, client):
    async def work():
        async with AsyncClient(url) as other:
            one = await other.predict(TEXT, explain=True)
            several = await other.predict(["Rome", TEXT])
            streamed = [result async for result in other.stream(["Rome", TEXT])]
            return one, several, streamed, await other.info(), await other.ready()

    one, several, streamed, info, ready = asyncio.run(work())
    assert one == client.predict(TEXT, explain=True)
    assert several == streamed == client.predict(["Rome", TEXT])
    assert (info, ready) == (client.info(), True)
