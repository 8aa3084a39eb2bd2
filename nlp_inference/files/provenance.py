"""What predicts an output, as it is written beside it: whoever goes on with the output must be the same."""

from hashlib import sha256
from typing import Literal

from pydantic import BaseModel, ConfigDict

from nlp_inference.files.formats import FileFormat
from nlp_inference.predictor import Predictor
from nlp_inference.processor import Processor
from nlp_inference.records import Columns


class Provenance(BaseModel):
    """What predicts an output that is not complete.

    Args:
        model: see `digest_of`.
        backend, dtype: what runs it.
        output_format: how the output is written.
        text_column, id_column: where the texts and their ids are read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    model: str
    backend: str
    dtype: str
    output_format: FileFormat
    text_column: str | None = None
    id_column: str | None = None

    @classmethod
    def of(cls, predictor: Predictor, *, output_format: FileFormat, columns: Columns) -> "Provenance":
        """What is about to predict."""
        return cls(
            model=digest_of(predictor.processor),
            backend=predictor.backend.name,
            dtype=predictor.backend.dtype,
            output_format=output_format,
            text_column=columns.text,
            id_column=columns.id,
        )


def digest_of(processor: Processor) -> str:
    """Of everything that decides predictions: the settings, and the fingerprint, which has that of the weights."""
    return sha256(processor.to_json_string().encode()).hexdigest()
