"""Verification: replay of the golden records on this machine, and the first stage that differs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, computed_field

from nlp_inference.document import FailedDocument
from nlp_inference.errors import ArtefactError, VerificationError
from nlp_inference.golden.compare import Difference, batched_difference, first_difference
from nlp_inference.golden.compare_outputs import deviation
from nlp_inference.golden.outputs import as_recorded
from nlp_inference.golden.schema import (
    MIN_RECORDS,
    STAGES,
    Final,
    GoldenFile,
    GoldenRecord,
    Stage,
    golden_file,
    read_golden,
)
from nlp_inference.golden.stages import golden_record
from nlp_inference.golden.tolerance import tolerance_between
from nlp_inference.predict.predictor import Predictor
from nlp_inference.predict.trace import Trace

_TRACED_TOGETHER = 16
"""The number of documents to trace together."""


class Verification(BaseModel):
    """The result of replaying golden records.

    Attributes:
        backend, dtype: the backend and precision of the replay.
        recorded_backend, recorded_dtype: the backend and precision of the recording.
        logits_within: the absolute tolerance of logits; see `nlp_inference.golden.tolerance`.
        largest_deviation: the greatest difference of logits, except those that are recorded as sums; see
            `nlp_inference.golden.outputs`.
        records: number of replayed records.
        bit_for_bit: number of records that were reproduced bit for bit.
        failing: number of records that fail with the recorded error.
        differences: the first difference of every record that differs.
    """

    model_config = ConfigDict(frozen=True)

    backend: str
    dtype: str
    recorded_backend: str
    recorded_dtype: str
    logits_within: float
    largest_deviation: float
    records: int
    bit_for_bit: int
    failing: int
    differences: tuple[Difference, ...]

    @computed_field  # type: ignore[prop-decorator]  # required by pydantic to add a property to the JSON
    @property
    def ok(self) -> bool:
        """Whether no record differs."""
        return not self.differences

    @property
    def first(self) -> Difference | None:
        """The difference at the earliest stage."""
        return min(self.differences, key=lambda difference: STAGES.index(difference.stage), default=None)

    def by_stage(self) -> list[tuple[Stage, int, int]]:
        """Return for each stage how many records agree up to it, and how many first differ in it."""
        counts: list[tuple[Stage, int, int]] = []
        left = self.records
        for stage in STAGES:
            differ = sum(difference.stage == stage for difference in self.differences)
            left -= differ
            counts.append((stage, left, differ))
        return counts

    def require_ok(self, name: str | Path) -> None:
        """Check that no record differs.

        Raises:
            VerificationError: a record differs; the message names the stage, the record, and both values.
        """
        if self.first is not None:
            raise VerificationError(
                f"{str(name)!r} does not reproduce its golden records on this machine: {self.first} "
                f"({len(self.differences)} of {self.records} records differ). Show all differences with: "
                f"nlp-inference verify {name}"
            )


def verify(predictor: Predictor, golden: GoldenFile) -> Verification:
    """Replay golden records from their raw texts, and find for each the first stage that differs.

    Each window first goes through the model alone, and its document is compared stage by stage. Then all documents are
    predicted in production batches, and the predictions are compared again.

    Raises:
        ArtefactError: no tolerance is defined for this backend or precision.
    """
    backend, dtype = predictor.backend.name, predictor.backend.dtype
    tolerance = tolerance_between((golden.backend, golden.dtype), (backend, dtype))
    unit = predictor.processor.task.value_unit
    differences: dict[str, Difference] = {}
    bit_for_bit, largest = 0, 0.0
    for expected, trace in _traced(predictor, golden.records):
        actual = golden_record(trace, processor=predictor.processor, origin=expected.origin)
        actual = as_recorded(actual, expected)
        found = first_difference(expected, actual, tolerance, failure=str(trace.failure), unit=unit)
        if found is not None:
            differences[expected.id] = found
        else:
            bit_for_bit += actual == expected
            largest = max(largest, deviation(expected.logits or (), actual.logits or ()))
    agreeing = [record for record in golden.records if record.id not in differences]
    for expected, batched in zip(agreeing, _predict_batched(predictor, agreeing), strict=True):
        found = batched_difference(expected, batched, tolerance, unit=unit)
        if found is not None:
            differences[expected.id] = found
    return Verification(
        backend=backend,
        dtype=dtype,
        recorded_backend=golden.backend,
        recorded_dtype=golden.dtype,
        logits_within=tolerance.absolute,
        largest_deviation=largest,
        records=len(golden.records),
        bit_for_bit=bit_for_bit,
        failing=sum(record.failed is not None for record in golden.records if record.id not in differences),
        differences=tuple(differences[record.id] for record in golden.records if record.id in differences),
    )


def verify_loaded(predictor: Predictor, folder: str | Path, *, name: str | Path) -> Verification:
    """Replay the golden records of an artefact that is already loaded, with its backend and precision.

    Args:
        predictor: the predictor that was loaded from `folder`.
        folder: the folder of the golden files.
        name: the name of the model in messages.

    Raises:
        VerificationError: a record differs.
        ArtefactError: there are no golden records for this backend and precision.
    """
    backend = predictor.backend
    verification = verify(predictor, read_golden(folder, name=golden_file(backend.name, backend.dtype)))
    verification.require_ok(name)
    return verification


def _traced(predictor: Predictor, records: Sequence[GoldenRecord]) -> Iterator[tuple[GoldenRecord, Trace]]:
    """Trace some documents at a time: the model runs on one while others are encoded, and few outputs are in memory."""
    for start in range(0, len(records), _TRACED_TOGETHER):
        chunk = records[start : start + _TRACED_TOGETHER]
        yield from zip(chunk, predictor.trace([record.document() for record in chunk]), strict=True)


def _predict_batched(predictor: Predictor, records: list[GoldenRecord]) -> Iterator[Final | FailedDocument]:
    documents = [record.document() for record in records]
    unprofiled = predictor.with_processor(predictor.processor)  # keeps golden records out of the drift profile
    for result in unprofiled.stream(documents, on_error="record"):
        if isinstance(result, FailedDocument):
            yield result
        else:
            yield Final.of(result)


def require_verified(folder: str | Path, *, trust_remote_code: bool = False) -> Verification:
    """Load an artefact as production does and replay its golden records, as required before publishing and exporting.

    Args:
        folder: the artefact.
        trust_remote_code: whether code that was saved with the artefact may run.

    Raises:
        VerificationError: a record differs.
        ArtefactError: the artefact cannot be loaded, or has too few golden records.
    """
    golden = read_golden(folder)
    if len(golden.records) < MIN_RECORDS:
        raise ArtefactError(
            f"{str(folder)!r} has {len(golden.records)} golden records, which are too few to verify it; at least "
            f"{MIN_RECORDS} are needed. Record it again on a machine where its predictions are correct: "
            "nlp_inference.golden.record_artefact(folder)"
        )
    verification = verify(Predictor.from_pretrained(folder, trust_remote_code=trust_remote_code), golden)
    verification.require_ok(folder)
    return verification
