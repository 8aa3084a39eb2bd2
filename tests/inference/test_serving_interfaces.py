"""Interfaces of others: Hugging Face inference, SageMaker, Vertex AI, presidio."""

import hashlib

import httpx2
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from served import running
from tiny_models import tiny_model

from nlp_inference import Predictor
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.serving import create_app

TEXT = "Ana lives in Rome 😀, and Bob lives in Paris"


def predictor_of(processor):
    return Predictor(processor, TorchBackend(tiny_model(processor.task), task=processor.task))


@pytest.fixture(scope="module")
def predictors(token_processor, text_processor, question_processor, multi_processor, regression_processor):
    return {
        "spans": predictor_of(token_processor),
        "topic": predictor_of(text_processor),
        "answers": predictor_of(question_processor),
        "multi": predictor_of(multi_processor),
        "numbers": predictor_of(regression_processor),
    }


@pytest.fixture(scope="module")
def url(predictors):
    with running(create_app(predictors, predict_route="/v1/predict", health_route="/v1/health")) as url:
        yield url


@pytest.fixture(autouse=True)
def online(monkeypatch):
    """The client of the Hub makes requests, here to this machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.fixture(scope="module")
def http(url):
    with httpx2.Client(base_url=url, timeout=30) as client:
        yield client


def test_token_classification_with_the_inference_client(url, predictors):
    for address in (url, f"{url}/models/spans"):
        found = InferenceClient(model=address).token_classification(TEXT, aggregation_strategy="simple")
        expected = predictors["spans"].as_pipeline()(TEXT)
        assert [(one.entity_group, one.word, one.start, one.end, one.score) for one in found] == [
            (one["entity_group"], one["word"], one["start"], one["end"], one["score"]) for one in expected
        ]
        assert found


def test_text_classification_with_the_inference_client(url, predictors):
    found = InferenceClient(model=f"{url}/models/topic").text_classification(TEXT, top_k=2)
    expected = predictors["topic"].as_pipeline()(TEXT, top_k=2)
    assert [(one.label, one.score) for one in found] == [(one["label"], one["score"]) for one in expected]
    assert len(found) == 2


def test_question_answering_with_the_inference_client(url, predictors):
    client = InferenceClient(model=f"{url}/models/answers")
    found = client.question_answering(question="Who lives in Rome?", context=TEXT)
    expected = predictors["answers"].as_pipeline()(question="Who lives in Rome?", context=TEXT)
    assert (found.answer, found.start, found.end, found.score) == (
        expected["answer"],
        expected["start"],
        expected["end"],
        expected["score"],
    )
    assert len(client.question_answering(question="Who?", context=TEXT, top_k=3)) == 3


def test_each_head_has_a_url(url, predictors):
    found = InferenceClient(model=f"{url}/models/multi/slots").token_classification(TEXT)
    expected = predictors["multi"].as_pipeline(head="slots")(TEXT)
    assert [(one.entity_group, one.start) for one in found] == [(one["entity_group"], one["start"]) for one in expected]
    topic = InferenceClient(model=f"{url}/models/multi/topic").text_classification(TEXT)
    assert [one.label for one in topic] == [one["label"] for one in predictors["multi"].as_pipeline(head="topic")(TEXT)]


def test_errors_with_the_inference_client(url):
    with pytest.raises(HfHubHTTPError, match="422"):
        InferenceClient(model=f"{url}/models/multi").token_classification(TEXT)
    with pytest.raises(HfHubHTTPError, match="404"):
        InferenceClient(model=f"{url}/models/none").token_classification(TEXT)


@pytest.mark.parametrize(
    ("path", "body", "shape"),
    [
        ("/models/topic", {"inputs": "a"}, [["label", "score"]]),
        ("/models/topic", {"inputs": ["a", "b"]}, [["label", "score"], ["label", "score"]]),
        ("/models/numbers", {"inputs": "a"}, [["label", "score"]]),
        ("/models/answers", {"inputs": [{"question": "a?", "context": "b"}]}, ["answer", "end", "score", "start"]),
    ],
)
def test_the_nesting_of_outputs(http, path, body, shape):
    output = http.post(path, json=body).json()
    if path == "/models/answers":
        assert sorted(output[0]) == shape
    else:
        assert [sorted(one[0]) for one in output] == shape


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"top_k": 0}, "greater than 0"),
        ({"top_k": True}, "valid integer"),
        ({"function_to_apply": "none"}, "unknown key 'parameters.function_to_apply'"),
        ({"aggregation_strategy": "none"}, "aggregation_strategy"),
    ],
)
def test_parameters_that_would_change_the_model_are_refused(http, parameters, message):
    response = http.post("/models/topic", json={"inputs": "a", "parameters": parameters})
    assert (response.status_code, message in response.json()["error"]) == (422, True), response.text


def test_labels_can_be_omitted(http, predictors):
    every = predictors["spans"].as_pipeline()(TEXT)
    body = {"inputs": TEXT, "parameters": {"ignore_labels": [every[0]["entity_group"]]}}
    left = [one for one in every if one["entity_group"] != every[0]["entity_group"]]
    assert http.post("/", json=body).json() == left


def test_sagemaker(http, predictors):
    assert http.get("/ping").status_code == 200
    assert http.post("/invocations", json={"inputs": TEXT}).json() == predictors["spans"].as_pipeline()(TEXT)
    assert http.post("/invocations", json={"text": TEXT, "id": "a"}).json()["id"] == "a"


def test_vertex(http):
    assert http.get("/v1/health").status_code == 200
    output = http.post("/v1/predict", json={"instances": ["Ana", {"text": "Bob", "id": "b"}], "parameters": None})
    assert [one["id"] for one in output.json()["predictions"]] == ["0", "b"]


def test_presidio_analyze(http, predictors):
    expected = predictors["spans"].predict(TEXT).predicted.spans
    entities = http.post("/analyze", json={"text": TEXT, "language": "en"}).json()
    assert [(one["entity_type"], one["start"], one["end"], one["score"]) for one in entities] == [
        (span.label, span.start, span.end, span.score) for span in expected
    ]
    assert entities[0]["analysis_explanation"] is None
    label, threshold = expected[0].label, max(span.score for span in expected)
    body = {"text": TEXT, "language": "en", "entities": [label], "return_decision_process": True, "trace": False}
    some = http.post("/analyze", json=body | {"correlation_id": "1", "score_threshold": threshold}).json()
    assert [one["start"] for one in some] == [
        span.start for span in expected if span.label == label and span.score >= threshold
    ]
    several = http.post("/analyze", json={"text": [TEXT, "Ana"], "language": "en"}).json()
    assert several[0] == entities
    assert http.get("/supportedentities?language=en").json() == list(predictors["spans"].processor.task.labels)


def entity(kind, start, end, score=0.8):
    return {"entity_type": kind, "start": start, "end": end, "score": score}


def test_presidio_anonymize_as_its_documentation(http):
    text = "hello world, my name is Jane Doe. My number is: 034453334"
    found = [entity("PERSON", 24, 32), entity("PHONE_NUMBER", 48, 57, 0.95)]
    anonymizers = {"PERSON": {"type": "redact"}, "PHONE_NUMBER": {"type": "replace", "new_value": "ANONYMIZED"}}
    body = {"text": text, "anonymizers": anonymizers, "analyzer_results": found}
    assert http.post("/anonymize", json=body).json() == {
        "text": "hello world, my name is . My number is: ANONYMIZED",
        "items": [
            {"operator": "replace", "entity_type": "PHONE_NUMBER", "start": 40, "end": 50, "text": "ANONYMIZED"},
            {"operator": "redact", "entity_type": "PERSON", "start": 24, "end": 24, "text": ""},
        ],
    }


@pytest.mark.parametrize(
    ("anonymizer", "expected"),
    [
        (None, "<PERSON> 😀"),
        ({"type": "replace"}, "<PERSON> 😀"),
        ({"type": "keep"}, "Ana 😀"),
        ({"type": "mask", "masking_char": "*", "chars_to_mask": 2, "from_end": True}, "A** 😀"),
        ({"type": "mask", "masking_char": "#", "chars_to_mask": 99}, "### 😀"),
        ({"type": "mask", "masking_char": "#", "chars_to_mask": -1}, "Ana 😀"),
        ({"type": "hash"}, hashlib.sha256(b"Ana").hexdigest() + " 😀"),
        ({"type": "hash", "hash_type": "sha512", "salt": "s"}, hashlib.sha512(b"sAna").hexdigest() + " 😀"),
    ],
)
def test_presidio_anonymizers(http, anonymizer, expected):
    anonymizers = {} if anonymizer is None else {"DEFAULT": anonymizer}
    body = {"text": "Ana 😀", "anonymizers": anonymizers, "analyzer_results": [entity("PERSON", 0, 3)]}
    assert http.post("/anonymize", json=body).json()["text"] == expected


def test_no_character_of_overlapping_entities_remains(http):
    found = [entity("CITY", 8, 12, 0.5), entity("PERSON", 0, 10, 0.9), entity("DATE", 2, 4, 0.1)]
    output = http.post("/anonymize", json={"text": "Ana Lopez Rome!", "analyzer_results": found}).json()
    assert output["text"] == "<PERSON>me!"


@pytest.mark.parametrize("bad", [entity("A", 0, 0), entity("A", 2, 1), entity("A", 0, 4), entity("A", -1, 1)])
def test_entities_outside_the_text_are_refused(http, bad):
    assert http.post("/anonymize", json={"text": "Ana", "analyzer_results": [bad]}).status_code == 422


def test_a_model_without_spans_finds_no_entities(predictors):
    with running(create_app(predictors["topic"])) as url:
        assert "predicts no spans" in httpx2.post(f"{url}/analyze", json={"text": "a"}).json()["error"]
