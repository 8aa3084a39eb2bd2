"""The contents of `golden.json`: raw documents, and the output of every stage of the route for them."""

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
"""Increased when an older library would misread a newer file; version 2 records every logit."""

MAX_BYTES = 16 * 2**20
"""Size limit of `golden.json`, because the file may come from an untrusted source."""

MIN_RECORDS = 32
"""Least number of texts that verify a model."""

MAX_RECORDS = 4096
"""Greatest number of records that are written or read."""

Stage = Literal["edits", "ids", "windows", "logits", "decoded", "final", "batched"]
"""A stage of the route; `batched` is the final prediction of all documents in production batches."""

STAGES: tuple[Stage, ...] = ("edits", "ids", "windows", "logits", "decoded", "final", "batched")
"""The stages in the order of their comparison."""

Origin = Literal["hostile", "validation", "file"]
"""The origin of a text: the fixed set of this library, the validation documents, or the user's file."""

_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Ids = tuple[int, ...]
_Extent = Annotated[int, Field(ge=0, lt=2**63)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Edits(_Strict):
    """The edits of preprocessing to the text and to the text pair."""

    text: tuple[EditRecord, ...]
    pair: tuple[EditRecord, ...] = ()


class Integers(_Strict):
    """An array of integers: the SHA-256 of all values, and the first values for display."""

    shape: tuple[int, ...]
    digest: _Digest
    head: _Ids


class Tokens(_Strict):
    """The tokens of the text and of the text pair: ids, offsets in the text (`places`), and word starts."""

    ids: _Ids
    pair_ids: _Ids | None = None
    places: Integers
    word_starts: Integers
    pair_places: Integers | None = None


class WindowRow(_Strict):
    """One window: its tokens, the tokens whose predictions it provides, and the special tokens around them."""

    start: int
    end: int
    owned_start: int
    owned_end: int
    before: _Ids
    after: _Ids
    token_type_ids: Integers


class Output(_Strict):
    """A model output for one window, which `nlp_inference.golden.outputs` writes and reads.

    Attributes:
        shape: of the array.
        dtype: of the array; integers are compared exactly.
        digest: SHA-256 of its bytes, for bit-for-bit comparison.
        stretch: number of consecutive values that one recorded number sums up; 1 records every value.
        largest: the greatest magnitude of its finite values.
        numbers: its values, or the weighted sum of each `stretch` of them, as little-endian 32-bit floats.
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
            raise ValueError(f"an output of the shape {self.shape!r} has fewer than {self.stretch} values (stretch)")
        expected = -(-size // self.stretch)
        if len(self.numbers) != 4 * expected:
            raise ValueError(
                f"an output of the shape {self.shape!r} has {expected} numbers of 4 bytes, but got "
                f"{len(self.numbers)} bytes"
            )
        return self


COVERAGE_VERSION: Literal[3] = 3
"""Version of the coverage in a record.

Version 2 counts deleted characters and unknown tokens separately. Version 3 counts letters that the tokenizer deletes
as unread, and more characters as deleted or unknown.
"""


class Final(_Strict):
    """The final prediction after postprocessing, and its coverage.

    Attributes:
        annotation: the prediction.
        coverage: the part of the text that the model read.
        coverage_version: version of the coverage. Earlier versions of this library do not write it: their ranges of
            deleted and unknown characters are always empty, and are not compared.
    """

    annotation: Annotation
    coverage: Coverage | None
    coverage_version: Literal[1, 2, 3] = 1

    @classmethod
    def of(cls, document: Document) -> Self:
        """Return the prediction and the coverage of `document`."""
        annotation = document.predicted or Annotation()
        return cls(annotation=annotation, coverage=document.coverage, coverage_version=COVERAGE_VERSION)


class Failed(_Strict):
    """The stage at which a document failed, and the name of the error."""

    stage: Stage
    error: str


class GoldenRecord(_Strict):
    """A raw document and the output of each stage; a stage that was not reached is `None`.

    `given` is the annotation that a caller supplies with the document, for tasks that need one.
    """

    id: str
    origin: Origin
    raw_text: str
    raw_text_pair: str | None = None
    given: Annotation | None = None
    edits: Edits | None = None
    ids: Tokens | None = None
    windows: tuple[WindowRow, ...] | None = None
    logits: tuple[dict[str, Output], ...] | None = None
    decoded: Annotation | None = None
    final: Final | None = None
    failed: Failed | None = None

    def document(self) -> Document:
        """Return the raw document."""
        return Document(id=self.id, raw_text=self.raw_text, raw_text_pair=self.raw_text_pair, predicted=self.given)


class GoldenFile(_Strict):
    """Golden records with the backend and precision of the recording.

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
    def _records_are_complete(self) -> Self:
        for record in self.records:
            missing = [stage for stage in STAGES[:-1] if getattr(record, stage) is None]
            if missing and record.failed is None:
                raise ValueError(f"the record {record.id!r} has no {missing[0]!r}, and does not state a failure")
        ids = [record.id for record in self.records]
        if len(set(ids)) < len(ids):
            repeated = next(one for one in ids if ids.count(one) > 1)
            raise ValueError(f"two records have the id {repeated!r}; ids must be unique")
        return self

    def write(self, folder: str | Path, *, name: str = GOLDEN_FILE) -> Path:
        """Write the records into `folder`.

        Raises:
            ArtefactError: the file would exceed the limit of `read_golden`.
        """
        content = f"{self.model_dump_json(exclude_defaults=True)}\n".encode()
        if len(content) > MAX_BYTES:
            raise ArtefactError(
                f"the {len(self.records)} golden records take {len(content)} bytes; the limit is {MAX_BYTES}. Record "
                "fewer or shorter texts: see golden.file and golden.records in the configuration"
            )
        path = Path(folder) / name
        path.write_bytes(content)
        return path


def golden_file(backend: str, dtype: str) -> str:
    """Return the file of the golden records that a backend replays; each exported model has its own file.

    Example:
        >>> golden_file("torch", "bfloat16"), golden_file("onnx", "int8")
        ('golden.json', 'onnx/model_int8.golden.json')
    """
    descriptor = known_backend(backend)
    return GOLDEN_FILE if descriptor is None else descriptor.golden_file(dtype)


def read_golden(folder: str | Path, *, name: str = GOLDEN_FILE) -> GoldenFile:
    """Read the golden records of an artefact. The file may be untrusted: its size and form are checked.

    Args:
        folder: the artefact.
        name: the name of the file, see `golden_file`.

    Raises:
        ArtefactError: the file does not exist, or is not a valid file of golden records.
    """
    path = Path(folder) / name
    try:
        content = read_saved_file(path, most=MAX_BYTES)
    except FileNotFoundError as error:
        raise ArtefactError(
            f"there is no {name} in {str(folder)!r}, so nothing can be verified; training writes this file. For an "
            "artefact without it, call nlp_inference.golden.record_artefact(folder) on a machine where its predictions "
            "are correct"
        ) from error
    try:
        return GoldenFile.model_validate_json(content)
    except ValidationError as error:
        problem = explain(error, GoldenFile)
        raise ArtefactError(f"{str(path)!r} is not a file of golden records: {problem}; record it again") from error
