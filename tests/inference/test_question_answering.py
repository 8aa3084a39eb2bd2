"""Answers to questions: the targets of windows, and the best answer over all of them in raw offsets."""

import numpy as np
import pytest
from pydantic import ValidationError
from tiny_models import tiny_model

from nlp_inference import Document, Predictor, Processor, QuestionAnswering
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.errors import InvalidDocumentError, InvalidInputError, PredictionError

QUESTION = "Where?"  # two tokens
CONTEXT = "Ana lives in Rome now"  # a token for each word


@pytest.fixture(scope="module")
def make(tokenizer):
    def processor(**settings):
        windows = settings.pop("windows", None)
        return Processor(tokenizer, QuestionAnswering(**settings), windows=windows)

    return processor


def document(*answers, text=CONTEXT):
    spans = [{"start": text.index(one), "end": text.index(one) + len(one), "label": "answer"} for one in answers]
    return Document(id="d", raw_text=text, raw_text_pair=QUESTION, gold={"spans": spans})


def logits(processor, encoded, ranges, null=0.0):
    """Outputs for each window in which a range of tokens `(first, last)` of the context has this sum of two logits."""
    outputs = []
    for row, window in zip(processor.rows(encoded), encoded.windows, strict=True):
        starts, ends = np.full((2, len(row.input_ids)), -9.0, dtype=np.float32)
        starts[0] = ends[0] = null / 2
        for (first, last), logit in ranges.items():
            if window.start <= first and last < window.end:
                shift = row.content.start - window.start
                starts[first + shift] = ends[last + shift] = logit / 2
        outputs.append({"start_logits": starts, "end_logits": ends})
    return outputs


def answers(processor, ranges, null=0.0, text=CONTEXT):
    [encoded] = processor.encode([Document(raw_text=text, raw_text_pair=QUESTION)])
    found = processor.decode_outputs(encoded, processor.rows(encoded), logits(processor, encoded, ranges, null))
    return [found.surface(span) for span in found.predicted.spans], found


def test_the_question_comes_first_and_targets_are_positions_in_the_row(make):
    batch = make()([document("Rome"), document("Ana lives"), document()], labels=True)
    assert batch["input_ids"].shape == (3, 10)  # [CLS] where ? [SEP] ana lives in rome now [SEP]
    assert batch["start_positions"].tolist() == [7, 4, 0]
    assert batch["end_positions"].tolist() == [7, 5, 0]


def test_of_several_gold_answers_a_window_learns_the_first_that_it_contains(make):
    processor = make(windows={"max_length": 8, "overlap": 1})  # three tokens of the context in a window
    batch = processor([document("now", "lives in")], labels=True)
    assert [window.start for window in processor.encode([document()])[0].windows] == [0, 2]
    assert batch["start_positions"].tolist() == [5, 6]
    assert batch["end_positions"].tolist() == [6, 6]


def test_the_best_answer_of_all_windows_is_found_with_its_probability(make):
    processor = make(windows={"max_length": 8, "overlap": 1})
    found, predicted = answers(processor, {(0, 0): 2.0, (4, 4): 3.0})
    assert found == ["now"]
    [span] = predicted.predicted.spans
    assert (span.start, span.end, span.label) == (18, 21, "answer")
    assert span.score == pytest.approx(np.exp(3) / (np.exp(3) + np.exp(2) + 1), abs=1e-3)
    assert predicted.predicted.values["no_answer"] == pytest.approx(1 / (np.exp(3) + np.exp(2) + 1), abs=1e-3)


@pytest.mark.parametrize(
    ("threshold", "null", "found"),
    [(0.0, 1.9, ["Rome"]), (0.0, 2.1, []), (0.5, 2.1, ["Rome"]), (-0.5, 1.9, []), (None, 99.0, ["Rome"])],
)
def test_no_answer_is_predicted_where_its_logit_is_greater_by_the_threshold(make, threshold, null, found):
    assert answers(make(no_answer_threshold=threshold), {(3, 3): 2.0}, null)[0] == found


def test_no_answer_has_the_least_logit_of_all_windows(make):
    processor = make(windows={"max_length": 8, "overlap": 1})
    [encoded] = processor.encode([Document(raw_text=CONTEXT, raw_text_pair=QUESTION)])
    outputs = logits(processor, encoded, {(0, 0): 2.0})
    for output, null in zip(outputs, (1.0, 8.0), strict=True):
        output["start_logits"][0] = output["end_logits"][0] = null / 2
    found = processor.decode_outputs(encoded, processor.rows(encoded), outputs)
    assert [found.surface(span) for span in found.predicted.spans] == ["Ana"]


def test_several_answers_come_best_first(make):
    ranges = {(0, 0): 1.0, (3, 3): 2.0}
    assert answers(make(top_k=2), ranges)[0] == ["Rome", "Ana lives in Rome"]


def test_an_answer_has_at_most_so_many_tokens(make):
    start_early = {(0, 0): 4.0, (3, 3): 4.0}  # from Ana to Rome is as likely as each alone
    assert answers(make(max_answer_tokens=1), start_early)[0] == ["Ana"]
    [lost] = make(max_answer_tokens=1).task.lost_spans(make().encode([document("lives in Rome")])[0])
    assert lost.cause == "longer than max_answer_tokens"


def test_offsets_are_those_of_the_raw_text(make, tokenizer):
    processor = Processor(tokenizer, QuestionAnswering(), ["strip_html", "collapse_whitespace"])
    found, predicted = answers(processor, {(3, 3): 2.0}, text="<b>Ana</b>  lives in&nbsp;Rome now")
    assert found == ["Rome"]
    assert predicted.predicted.spans[0].start == 26


def test_a_document_without_a_question_is_an_error_that_says_how_to_give_it(make):
    with pytest.raises(InvalidDocumentError, match=r"document 'd' has no text pair.*`question`"):
        make().encode([Document(id="d", raw_text=CONTEXT)])
    predictor = Predictor(make(), TorchBackend(tiny_model(QuestionAnswering()), task=QuestionAnswering()))
    with pytest.raises(PredictionError, match="has no text pair"):
        predictor.predict(CONTEXT)
    asked = predictor.predict({"question": QUESTION, "context": CONTEXT})
    assert (asked.raw_text, asked.raw_text_pair) == (CONTEXT, QUESTION)


def test_as_pipeline_returns_what_the_question_answering_pipeline_did(make):
    task = QuestionAnswering(no_answer_threshold=None)
    predictor = Predictor(make(no_answer_threshold=None), TorchBackend(tiny_model(task), task=task))
    pipeline = predictor.as_pipeline()
    one = pipeline(question=QUESTION, context=CONTEXT)
    [span] = predictor.predict({"question": QUESTION, "context": CONTEXT}).predicted.spans
    assert one == {"score": span.score, "start": span.start, "end": span.end, "answer": CONTEXT[span.start : span.end]}
    assert pipeline(question=[QUESTION, QUESTION], context=CONTEXT) == [one, one]
    assert len(pipeline({"question": QUESTION, "context": CONTEXT}, top_k=3)) == 3
    with pytest.raises(InvalidInputError, match="2 questions and 1 contexts"):
        pipeline(question=[QUESTION, QUESTION], context=[CONTEXT])


def test_as_pipeline_says_that_there_is_no_answer(make):
    task = QuestionAnswering(no_answer_threshold=-1000)
    predictor = Predictor(make(no_answer_threshold=-1000), TorchBackend(tiny_model(task), task=task))
    found = predictor.as_pipeline()(question=QUESTION, context=CONTEXT)
    assert (found["start"], found["end"], found["answer"]) == (0, 0, "")
    assert 0 < found["score"] < 1


def test_without_gold_there_are_no_targets(make):
    with pytest.raises(InvalidDocumentError, match="document 'd' has no gold annotation to learn from"):
        make()([Document(id="d", raw_text=CONTEXT, raw_text_pair=QUESTION)], labels=True)


def test_an_empty_context_has_no_answer(make):
    found, predicted = answers(make(no_answer_threshold=None), {}, text="")
    assert found == []
    assert predicted.predicted.values == {"no_answer": 1.0}


@pytest.mark.parametrize(
    "settings", [{"top_k": 0}, {"max_answer_tokens": 0}, {"n_best": 0}, {"no_answer_threshold": float("nan")}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        QuestionAnswering(**settings)
