"""What predicts an output, as it is written beside it: whoever goes on with the output must be the same."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from nlp_inference.files.formats import FileFormat
from nlp_inference.files.records import Columns
from nlp_inference.predict.predictor import Predictor


class Provenance(BaseModel):
    """What predicts an output that is not complete.

    Args:
        model: see `Processor.digest`.
        backend, dtype: what runs it.
        token_budget: tokens of a batch, on which the last bits of a score depend.
        output_format: how the output is written.
        text_column, id_column: where the texts and their ids are read.
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

    @classmethod
    def of(cls, predictor: Predictor, *, output_format: FileFormat, columns: Columns) -> "Provenance":
        """What is about to predict."""
        return cls(
            model=predictor.processor.digest(),
            backend=predictor.backend.name,
            dtype=predictor.backend.dtype,
            token_budget=predictor.token_budget,
            output_format=output_format,
            text_column=columns.text,
            id_column=columns.id,
        )
