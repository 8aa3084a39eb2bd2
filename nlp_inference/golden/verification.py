"""Verification: the route of the golden records once more, here, and the first stage at which it differs."""

from collections.abc import Iterator
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


class Verification(BaseModel):
    """What came of replaying golden records.

    Attributes:
        backend, dtype: what they were replayed with.
        recorded_backend, recorded_dtype: what they were recorded with.
        logits_within: how far logits may lie apart, absolutely; see `nlp_inference.golden.tolerance`.
        largest_deviation: how far the logits do lie apart, at most; of very many see `nlp_inference.golden.outputs`.
        records: how many were replayed.
        bit_for_bit: how many of them gave the same numbers, to the last bit.
        failing: how many fail as they did when they were recorded.
        differences: the first one of every record that differs.
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

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way to have a property in the JSON
    @property
    def ok(self) -> bool:
        """Whether no record differs."""
        return not self.differences

    @property
    def first(self) -> Difference | None:
        """The difference at the earliest stage, which is where to look first."""
        return min(self.differences, key=lambda difference: STAGES.index(difference.stage), default=None)

    def by_stage(self) -> list[tuple[Stage, int, int]]:
        """For each stage: how many records agree there, and how many differ there first."""
        counts: list[tuple[Stage, int, int]] = []
        left = self.records
        for stage in STAGES:
            differ = sum(difference.stage == stage for difference in self.differences)
            left -= differ
            counts.append((stage, left, differ))
        return counts

    def require_ok(self, name: str | Path) -> None:
        """Do nothing if no record differs.

        Raises:
            VerificationError: one does; the message names the stage, the record, and both values.
        """
        if self.first is not None:
            raise VerificationError(
                f"{str(name)!r} does not predict here what it predicted when it was recorded: {self.first} "
                f"({len(self.differences)} of {self.records} records differ). See all of it with: "
                f"nlp-inference verify {name}"
            )


def verify(predictor: Predictor, golden: GoldenFile) -> Verification:
    """Replay golden records from their raw texts, and find for each the first stage that differs.

    Each document goes the route by itself and is compared stage by stage; then all go together, in batches as
    production makes them, and the predictions are compared once more.

    Raises:
        ArtefactError: no tolerance is stated for this backend or precision.
    """
    backend, dtype = predictor.backend.name, predictor.backend.dtype
    tolerance = tolerance_between((golden.backend, golden.dtype), (backend, dtype))
    unit = predictor.processor.task.value_unit
    differences: dict[str, Difference] = {}
    same_bits, largest = 0, 0.0
    for expected in golden.records:
        [trace] = predictor.trace([expected.document()])
        now = golden_record(trace, processor=predictor.processor, origin=expected.origin)
        actual = as_recorded(now, expected)
        found = first_difference(expected, actual, tolerance, failure=str(trace.failure), unit=unit)
        if found is not None:
            differences[expected.id] = found
        else:
            same_bits += actual == expected
            largest = max(largest, deviation(expected.logits or (), actual.logits or ()))
    alone = [record for record in golden.records if record.id not in differences]
    for expected, together in zip(alone, _together(predictor, alone), strict=True):
        found = batched_difference(expected, together, tolerance, unit=unit)
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
        bit_for_bit=same_bits,
        failing=sum(record.failed is not None for record in golden.records if record.id not in differences),
        differences=tuple(differences[record.id] for record in golden.records if record.id in differences),
    )


def verify_loaded(predictor: Predictor, folder: str | Path, *, name: str | Path) -> Verification:
    """Replay the golden records of an artefact that is loaded already, with the backend and precision it runs on.

    Args:
        predictor: loaded from `folder`.
        folder: with the golden files.
        name: of the model in messages.

    Raises:
        VerificationError: a record differs.
        ArtefactError: there are no golden records of this backend and precision.
    """
    backend = predictor.backend
    verification = verify(predictor, read_golden(folder, name=golden_file(backend.name, backend.dtype)))
    verification.require_ok(name)
    return verification


def _together(predictor: Predictor, records: list[GoldenRecord]) -> Iterator[Final | FailedDocument]:
    documents = [record.document() for record in records]
    apart = predictor.with_processor(predictor.processor)  # the profile of what is served is not for golden records
    for result in apart.stream(documents, on_error="record"):
        if isinstance(result, FailedDocument):
            yield result
        else:
            yield Final.of(result)


def require_verified(folder: str | Path, *, trust_remote_code: bool = False) -> Verification:
    """Load an artefact as production does and replay its golden records: the gate before publishing and exporting.

    Args:
        folder: the artefact.
        trust_remote_code: whether code that was saved with it may run.

    Raises:
        VerificationError: a record differs.
        ArtefactError: the artefact cannot be loaded, or has too few golden records.
    """
    golden = read_golden(folder)
    if len(golden.records) < MIN_RECORDS:
        raise ArtefactError(
            f"{str(folder)!r} has {len(golden.records)} golden records, too few to vouch for it, at least "
            f"{MIN_RECORDS} are needed; record it anew where its predictions are right: "
            "nlp_inference.golden.record_artefact(folder)"
        )
    verification = verify(Predictor.from_pretrained(folder, trust_remote_code=trust_remote_code), golden)
    verification.require_ok(folder)
    return verification
