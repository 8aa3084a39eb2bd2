"""`/analyze`, `/anonymize`, `/supportedentities`: the REST service of presidio.

Requests and responses: https://microsoft.github.io/presidio/api-docs/api-docs.html
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictBool, StrictFloat, StrictInt
from starlette.requests import Request
from starlette.responses import Response

from nlp_inference.document import Document
from nlp_inference.serving.bodies import read_model
from nlp_inference.serving.failures import RequestError
from nlp_inference.serving.json_response import JsonResponse
from nlp_inference.serving.models import ServedModel
from nlp_inference.serving.outputs import predicted_document
from nlp_inference.serving.schemas import Body, Text
from nlp_inference.serving.service import Service

_RECOGNIZER = "NlpInferenceRecognizer"
_DEFAULT = "DEFAULT"


class AnalyzeInput(Body):
    """Texts in which entities are found.

    Args:
        text: a text, or several.
        language: accepted for compatibility; the model decides which languages it reads.
        score_threshold: the least score of an entity.
        entities: the entity types to return; all if it is empty or absent.
        return_decision_process: whether each entity has an explanation.
        correlation_id: accepted for compatibility; the log contains `X-Request-ID`.
        allow_list: surfaces that are never entities, compared exactly.
        trace, context: accepted for compatibility.
    """

    text: Text | list[Text]
    language: str = "en"
    score_threshold: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    entities: list[str] | None = None
    return_decision_process: StrictBool | None = None
    correlation_id: str | None = None
    allow_list: list[str] | None = None
    trace: StrictBool | None = None
    context: list[str] | None = None


class Entity(BaseModel):
    """A found entity, in code points of the text."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    entity_type: str
    start: Annotated[int, Field(strict=True, ge=0)]
    end: Annotated[int, Field(strict=True, ge=0)]
    score: StrictFloat | None = None


class FoundEntity(Entity):
    """An entity of a response, with an explanation if it was requested."""

    analysis_explanation: dict[str, JsonValue] | None = None
    recognition_metadata: dict[str, str] = Field(default_factory=dict)


class Replace(Body):
    """Replace an entity; by default with its type in angle brackets."""

    type: Literal["replace"]
    new_value: str | None = None


class Redact(Body):
    """Remove an entity."""

    type: Literal["redact"]


class Mask(Body):
    """Replace characters of an entity, from its start or from its end."""

    type: Literal["mask"]
    masking_char: Annotated[str, Field(min_length=1, max_length=1)]
    chars_to_mask: StrictInt
    from_end: StrictBool = False


class Hash(Body):
    """Replace an entity with its digest. Without a salt, short entities can be guessed from it."""

    type: Literal["hash"]
    hash_type: Literal["sha256", "sha512"] = "sha256"
    salt: str = ""


class Keep(Body):
    """Keep an entity."""

    type: Literal["keep"]


Anonymizer = Annotated[Replace | Redact | Mask | Hash | Keep, Field(discriminator="type")]


class AnonymizeInput(Body):
    """A text and the entities to replace in it.

    Args:
        text: the text.
        anonymizers: the anonymizer of each entity type, and of all others as `DEFAULT`.
        analyzer_results: the entities, as `/analyze` returns them. Overlapping ones are replaced together.
    """

    text: Text
    anonymizers: dict[str, Anonymizer] = Field(default_factory=dict)
    analyzer_results: list[Entity]


class AnonymizedItem(Body):
    """A replacement: its range in the new text."""

    operator: str
    entity_type: str
    start: int
    end: int
    text: str


class AnonymizeOutput(Body):
    """The new text and its replacements, the last first."""

    text: str
    items: list[AnonymizedItem]


class Presidio:
    """The endpoints of presidio, with the default model, which must predict spans.

    Args:
        service: the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def analyze(self, request: Request) -> Response:
        """Return the entities of a text, or of each text of a list."""
        given = await read_model(request, AnalyzeInput, self._service.settings)
        model = self._model()
        texts = given.text if isinstance(given.text, list) else [given.text]
        documents = self._service.predictions.documents(texts)
        traces = await self._service.predictions.predict(request, model, documents)
        found = [_entities(predicted_document(trace), given) for trace in traces]
        return JsonResponse(found if isinstance(given.text, list) else found[0])

    async def anonymize(self, request: Request) -> Response:
        """Replace entities of a text."""
        given = await read_model(request, AnonymizeInput, self._service.settings)
        return JsonResponse(anonymized(given))

    async def supported_entities(self, _: Request) -> Response:
        """Return the labels of the model."""
        return JsonResponse(_labels(self._model()))

    async def recognizers(self, _: Request) -> Response:
        """Return the one recognizer, which is the model."""
        return JsonResponse([_RECOGNIZER])

    async def anonymizers(self, _: Request) -> Response:
        """Return the names of the anonymizers."""
        return JsonResponse(["hash", "keep", "mask", "redact", "replace"])

    def _model(self) -> ServedModel:
        model = self._service.models.get()
        if not any(
            task.pipeline_tag == "token-classification" for task in model.predictor.processor.task.tasks.values()
        ):
            raise RequestError(422, f"the model {model.name!r} predicts no spans, so it finds no entities")
        return model


def _labels(model: ServedModel) -> list[str]:
    tasks = model.predictor.processor.task.tasks.values()
    found = [
        label for task in tasks if task.pipeline_tag == "token-classification" for label in getattr(task, "labels", ())
    ]
    return list(dict.fromkeys(found))


def _entities(document: Document, given: AnalyzeInput) -> list[dict[str, Any]]:
    annotations = {} if document.predicted is None else document.predicted.of_all_heads()
    spans = [span for annotation in annotations.values() for span in annotation.spans]
    return [
        {
            "entity_type": span.label,
            "start": span.start,
            "end": span.end,
            "score": span.score,
            "analysis_explanation": _explanation(span.score) if given.return_decision_process else None,
            "recognition_metadata": {"recognizer_name": _RECOGNIZER},
        }
        for span in spans
        if (not given.entities or span.label in given.entities)
        and (given.score_threshold is None or span.score is None or span.score >= given.score_threshold)
        and document.surface(span) not in (given.allow_list or ())
    ]


def _explanation(score: float | None) -> dict[str, Any]:
    return {
        "recognizer": _RECOGNIZER,
        "pattern_name": None,
        "pattern": None,
        "original_score": score,
        "score": score,
        "textual_explanation": None,
        "score_context_improvement": 0,
        "supportive_context_word": "",
        "validation_result": None,
    }


def anonymized(given: AnonymizeInput) -> dict[str, Any]:
    """Replace the entities of a text.

    Raises:
        RequestError: 422, an entity is outside the text.

    Example:
        >>> entity = {"entity_type": "PERSON", "start": 0, "end": 3, "score": 0.9}
        >>> anonymized(AnonymizeInput(text="Ana lives", analyzer_results=[entity]))["text"]
        '<PERSON> lives'
    """
    text, parts, items, before = given.text, list[str](), list[dict[str, Any]](), 0
    length = 0
    for entity in _disjoint(given.analyzer_results, len(text)):
        replacement = _replacement(entity, text[entity.start : entity.end], given.anonymizers)
        operator, new = replacement
        parts += [text[before : entity.start], new]
        length += entity.start - before
        if operator != "keep":
            item = {"start": length, "end": length + len(new), "entity_type": entity.entity_type, "text": new}
            items.append({"operator": operator, **item})
        length += len(new)
        before = entity.end
    return {"text": "".join([*parts, text[before:]]), "items": items[::-1]}


def _disjoint(entities: list[Entity], length: int) -> list[Entity]:
    """Merge entities that overlap, so that no character of any of them remains; the best score gives the type."""
    merged: list[Entity] = []
    for entity in sorted(entities, key=lambda one: (one.start, one.end)):
        if not entity.start < entity.end <= length:
            raise RequestError(
                422,
                f"the entity {entity.start}:{entity.end} is empty or outside the text of {length} characters; offsets "
                "are code points",
                kind="InvalidDocumentError",
            )
        if merged and entity.start < merged[-1].end:
            last = merged[-1]
            best = max(last, entity, key=lambda one: -1.0 if one.score is None else one.score)
            merged[-1] = best.model_copy(update={"start": last.start, "end": max(last.end, entity.end)})
        else:
            merged.append(entity)
    return merged


def _replacement(entity: Entity, surface: str, anonymizers: Mapping[str, Anonymizer]) -> tuple[str, str]:
    """Return the name of the operator, and the new text."""
    chosen = anonymizers.get(entity.entity_type) or anonymizers.get(_DEFAULT) or Replace(type="replace")
    if isinstance(chosen, Replace):
        return chosen.type, chosen.new_value if chosen.new_value is not None else f"<{entity.entity_type}>"
    if isinstance(chosen, Mask):
        return chosen.type, _masked(surface, chosen)
    if isinstance(chosen, Hash):
        return chosen.type, hashlib.new(chosen.hash_type, (chosen.salt + surface).encode("utf-8")).hexdigest()
    return chosen.type, "" if isinstance(chosen, Redact) else surface


def _masked(surface: str, mask: Mask) -> str:
    count = min(len(surface), max(0, mask.chars_to_mask))
    stars = mask.masking_char * count
    return surface[: len(surface) - count] + stars if mask.from_end else stars + surface[count:]
