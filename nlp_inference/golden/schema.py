"""What `golden.json` holds: documents as they arrived, and what every stage of the route made of them."""

from math import prod
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt, ValidationError, model_validator

from nlp_inference._utils.saved_files import read_saved_file
from nlp_inference.backends.descriptors import GOLDEN_FILE, known_backend
from nlp_inference.document import Annotation, Coverage, Document
from nlp_inference.document.aligned_text import EditRecord
from nlp_inference.errors import ArtefactError
from nlp_inference.registry import explain

FORMAT_VERSION: Literal[2] = 2
"""Raised when an older library would misread a newer file; 2 keeps every logit."""

MAX_BYTES = 16 * 2**20
"""What is read of a stranger's `golden.json` at most; none that is larger is written."""

MIN_RECORDS = 32
"""Fewer texts prove too little."""

MAX_RECORDS = 4096
"""More are not read of a stranger's file, and not recorded."""

Stage = Literal["edits", "ids", "windows", "logits", "decoded", "final", "batched"]
"""A stage of the route; `batched` is the final prediction once more, of all documents together."""

STAGES: tuple[Stage, ...] = ("edits", "ids", "windows", "logits", "decoded", "final", "batched")
"""In the order in which they are compared: the first that differs is to blame."""

Origin = Literal["hostile", "validation", "file"]
"""Where a text comes from: the fixed set of this library, the validation documents, the user's own file."""

_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Ids = tuple[int, ...]
_Extent = Annotated[int, Field(ge=0, lt=2**63)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Edits(_Strict):
    """What preprocessing did to the text, and to the second text."""

    text: tuple[EditRecord, ...]
    pair: tuple[EditRecord, ...] = ()


class Integers(_Strict):
    """An array of integers: the SHA-256 of all, and the first ones for people."""

    shape: tuple[int, ...]
    digest: _Digest
    head: _Ids


class Tokens(_Strict):
    """What the tokenizer made of the text: ids, the place of each in the text, where words start; and of the second."""

    ids: _Ids
    pair_ids: _Ids | None = None
    places: Integers
    word_starts: Integers
    pair_places: Integers | None = None


class WindowRow(_Strict):
    """One window: the tokens it reads, those it answers for, and what stands around them in the model's input row."""

    start: int
    end: int
    owned_start: int
    owned_end: int
    before: _Ids
    after: _Ids
    token_type_ids: Integers


class Output(_Strict):
    """An array that the model gave for a window; `nlp_inference.golden.outputs` makes and reads it.

    Attributes:
        shape: of the array.
        dtype: of the array; whole numbers are compared exactly.
        digest: SHA-256 of its bytes, for equality bit for bit.
        stretch: how many consecutive values share one of the numbers; 1 keeps every value as it is.
        largest: the size of its largest finite value.
        numbers: its values, or a weighed sum of each stretch of them, as 32-bit floats, the lowest byte first.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    shape: Annotated[tuple[_Extent, ...], Field(max_length=64)]
    dtype: str
    digest: _Digest
    stretch: PositiveInt = 1
    largest: Annotated[FiniteFloat, Field(ge=0)]
    numbers: Annotated[bytes, Field(repr=False)]

    @model_validator(mode="after")
    def _numbers_fill_the_shape(self) -> Self:
        size = prod(self.shape)
        if self.stretch > max(1, size):
            raise ValueError(f"an output of the shape {self.shape!r} has no stretch of {self.stretch} values")
        expected = -(-size // self.stretch)
        if len(self.numbers) != 4 * expected:
            raise ValueError(
                f"an output of the shape {self.shape!r} has {expected} numbers of 4 bytes, but got "
                f"{len(self.numbers)} bytes"
            )
        return self


COVERAGE_VERSION: Literal[2] = 2
"""Version of the coverage in a record: 2 counts what preprocessing deleted and unknown tokens apart."""


class Final(_Strict):
    """What is handed out: the prediction after postprocessing, and what was read for it.

    Attributes:
        annotation: the prediction.
        coverage: what was read.
        coverage_version: of the coverage. Files of earlier versions of this library do not name it: their ranges of
            deleted and unknown characters are empty because nothing looked for them, and are not compared.
    """

    annotation: Annotation
    coverage: Coverage | None
    coverage_version: Literal[1, 2] = 1

    @classmethod
    def of(cls, document: Document) -> Self:
        """Return what `document` says."""
        annotation = document.predicted or Annotation()
        return cls(annotation=annotation, coverage=document.coverage, coverage_version=COVERAGE_VERSION)


class Failed(_Strict):
    """The stage that a document did not pass, and the name of the error."""

    stage: Stage
    error: str


class GoldenRecord(_Strict):
    """One document as it arrived, and what each stage made of it; a stage that was not reached is `None`."""

    id: str
    origin: Origin
    raw_text: str
    raw_text_pair: str | None = None
    edits: Edits | None = None
    ids: Tokens | None = None
    windows: tuple[WindowRow, ...] | None = None
    logits: tuple[dict[str, Output], ...] | None = None
    decoded: Annotation | None = None
    final: Final | None = None
    failed: Failed | None = None

    def document(self) -> Document:
        """The document as it arrived."""
        return Document(id=self.id, raw_text=self.raw_text, raw_text_pair=self.raw_text_pair)


class GoldenFile(_Strict):
    """Golden records, and what they were recorded with.

    Example:
        >>> failed = Failed(stage="edits", error="PatternTimeoutError")
        >>> record = GoldenRecord(id="hostile: empty", origin="hostile", raw_text="", failed=failed)
        >>> golden = GoldenFile(format_version=2, backend="torch", dtype="float32", records=(record,))
        >>> GoldenFile.model_validate_json(golden.model_dump_json()) == golden
        True
    """

    format_version: Literal[2]
    backend: str
    dtype: str
    records: Annotated[tuple[GoldenRecord, ...], Field(min_length=1, max_length=MAX_RECORDS)]

    @model_validator(mode="after")
    def _records_are_whole(self) -> Self:
        for record in self.records:
            missing = [stage for stage in STAGES[:-1] if getattr(record, stage) is None]
            if missing and record.failed is None:
                raise ValueError(f"the record {record.id!r} has no {missing[0]!r}, and does not say what failed")
        ids = [record.id for record in self.records]
        if len(set(ids)) < len(ids):
            repeated = next(one for one in ids if ids.count(one) > 1)
            raise ValueError(f"two records have the id {repeated!r}; every record needs its own")
        return self

    def write(self, folder: str | Path, *, name: str = GOLDEN_FILE) -> Path:
        """Write the records into `folder`, as `golden.json` if no other name is given.

        Raises:
            ArtefactError: it would be larger than what `read_golden` reads.
        """
        content = f"{self.model_dump_json(exclude_defaults=True)}\n".encode()
        if len(content) > MAX_BYTES:
            raise ArtefactError(
                f"the {len(self.records)} golden records take {len(content)} bytes, but {MAX_BYTES} are read at most; "
                "record fewer or shorter texts: see golden.file and golden.records in the configuration"
            )
        path = Path(folder) / name
        path.write_bytes(content)
        return path


def golden_file(backend: str, dtype: str) -> str:
    """Where an artefact keeps the golden records that a backend replays: each exported model has its own.

    Example:
        >>> golden_file("torch", "bfloat16"), golden_file("onnx", "int8")
        ('golden.json', 'onnx/model_int8.golden.json')
    """
    descriptor = known_backend(backend)
    return GOLDEN_FILE if descriptor is None else descriptor.golden_file(dtype)


def read_golden(folder: str | Path, *, name: str = GOLDEN_FILE) -> GoldenFile:
    """Read golden records of an artefact. They may be a stranger's: data, of bounded size and strict form.

    Args:
        folder: the artefact.
        name: of the file, see `golden_file`.

    Raises:
        ArtefactError: there is none, or it is not one that this library reads.
    """
    path = Path(folder) / name
    try:
        content = read_saved_file(path, most=MAX_BYTES)
    except FileNotFoundError as error:
        raise ArtefactError(
            f"there is no {name} in {str(folder)!r}, so that nothing can be verified; training writes one, and "
            "for an artefact without: nlp_inference.golden.record_artefact(folder), where its predictions are right"
        ) from error
    try:
        return GoldenFile.model_validate_json(content)
    except ValidationError as error:
        problem = explain(error, GoldenFile)
        raise ArtefactError(f"{str(path)!r} is no file of golden records: {problem}; record it anew") from error
