"""Provenance of an output, which is saved next to it and must be equal to resume it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from nlp_inference.document.offsets import OffsetUnit
from nlp_inference.files.formats import FileFormat
from nlp_inference.files.records import Columns
from nlp_inference.predict.predictor import Predictor


class Provenance(BaseModel):
    """The model and settings that predict an output.

    Args:
        model: see `Processor.digest`.
        backend, dtype: the backend and its precision.
        token_budget: tokens of a batch, on which the last bits of a score depend.
        output_format: the format of the output.
        text_column, id_column: the columns of the texts and their ids in the source.
        offsets: the unit of the offsets in the output.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    model: str
    backend: str
    dtype: str
    token_budget: int | None = None
    output_format: FileFormat
    text_column: str | None = None
    id_column: str | None = None
    offsets: OffsetUnit = "codepoint"

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        *,
        output_format: FileFormat,
        columns: Columns,
        offsets: OffsetUnit = "codepoint",
    ) -> "Provenance":
        """Return the provenance of an output of `predictor`."""
        return cls(
            model=predictor.processor.digest(),
            backend=predictor.backend.name,
            dtype=predictor.backend.dtype,
            token_budget=predictor.token_budget,
            output_format=output_format,
            text_column=columns.text,
            id_column=columns.id,
            offsets=offsets,
        )
