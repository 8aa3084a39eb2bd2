"""A distributed job: its model, source and output folder, and the prediction of a shard by an actor."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nlp_inference.backends.choice import choose_backend
from nlp_inference.document import Document, FailedDocument
from nlp_inference.document.inputs import USUAL, Columns
from nlp_inference.document.limits import MAX_CHARACTERS, MAX_LINE_BYTES
from nlp_inference.document.offsets import OffsetUnit
from nlp_inference.errors import ArtefactError, OutputError, PredictionError, SourceError
from nlp_inference.files.formats import FileFormat
from nlp_inference.hub import PROCESSOR_NEEDS, SETTINGS_FILES, artefact_folder
from nlp_inference.integrations.ray.parts import PartFiles, ShardReport
from nlp_inference.integrations.ray.plan import Shard
from nlp_inference.integrations.ray.reading import ShardItems
from nlp_inference.predict.predictor import Predictor
from nlp_inference.processor import Processor


@dataclass(frozen=True)
class Job:
    """The model, the source, the output and the options of a job.

    Args:
        model: a Hub id, or a folder that every machine has.
        source: a file, a folder or a pattern with `*`, on any file system that fsspec knows.
        output: a folder on such a file system.
        input_format: format of the source; `None` detects it from the suffixes.
        output_format: format of the parts.
        columns: the keys or columns of the text and the id.
        offsets: the unit of the offsets in the parts.
        on_error: `record` replaces a document that fails by a `FailedDocument`; `raise` stops the job.
        backend, device, dtype, revision, trust_remote_code, token_budget, max_characters: as in
            `Predictor.from_pretrained`.
        max_line_bytes: size limit of a line or a row of the source.
        cores: CPU cores of an actor; `None` uses the cores of a machine per GPU, or all of its cores, up to eight.
        retries: how often a shard is predicted again if its actor dies.
    """

    model: str
    source: str
    output: str
    input_format: FileFormat | None = None
    output_format: FileFormat = FileFormat.LINES
    columns: Columns = USUAL
    offsets: OffsetUnit = "codepoint"
    on_error: Literal["raise", "record"] = "record"
    backend: str = "auto"
    device: str | None = None
    dtype: str = "float32"
    revision: str = "main"
    trust_remote_code: bool = False
    token_budget: int | None = None
    max_characters: int | None = MAX_CHARACTERS
    max_line_bytes: int | None = MAX_LINE_BYTES
    cores: int | None = None
    retries: int = 3


@dataclass(frozen=True)
class PinnedModel:
    """The exact model that every machine must use.

    Args:
        revision: a commit, if the model is on the Hub.
        digest: digest of the processor's settings and fingerprint.
        backend: the name of the backend.
    """

    revision: str
    digest: str
    backend: str


def pin_model(job: Job) -> PinnedModel:
    """Load the processor on the machine that starts the job, so that its errors are raised before actors start.

    Raises:
        ArtefactError: the model does not exist.
        UnknownTypeError: it uses a transform or a task that is not installed and whose code is not trusted.
    """
    folder = artefact_folder(job.model, files=SETTINGS_FILES, needed=PROCESSOR_NEEDS, revision=job.revision)
    on_hub = not Path(job.model).is_dir()
    processor = Processor.from_pretrained(folder, trust_remote_code=job.trust_remote_code)
    backend = choose_backend(job.model, backend=job.backend, dtype=job.dtype)
    return PinnedModel(folder.name if on_hub else job.revision, processor.digest(), backend)


class ShardPredictor:
    """The Predictor of an actor, which is called with rows of a Ray data set.

    Args:
        job: the job.
        model: the model with which the job started.

    Raises:
        ArtefactError: the model is not available on this machine, or differs from the one of the job.
    """

    def __init__(self, job: Job, model: PinnedModel) -> None:
        self.job = job
        self.predictor = Predictor.from_pretrained(
            job.model,
            backend=model.backend,
            device=job.device,
            dtype=job.dtype,
            revision=model.revision,
            trust_remote_code=job.trust_remote_code,
            token_budget=job.token_budget,
            max_characters=job.max_characters,
        )
        if self.predictor.processor.digest() != model.digest:
            raise ArtefactError(
                f"{job.model!r} on this machine differs from the model of the job; copy that model, "
                "or pass a Hub id or a folder that all machines share"
            )
        self.parts = PartFiles(job.output, file_format=job.output_format, offsets=job.offsets)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        """Predict shards and return their reports, both as JSON."""
        shards = [Shard.model_validate_json(str(shard)) for shard in batch["shard"]]
        return {"report": [self.predict(shard).model_dump_json() for shard in shards]}

    def predict(self, shard: Shard) -> ShardReport:
        """Predict a shard and write its parts; errors of the shard or the output are recorded in the report."""
        if (tries := self.parts.try_once_more(shard)) > 1 + self.job.retries:
            what = f"{shard.file.path!r} from {shard.begin} to {shard.end} killed its process {tries - 1} times"
            return ShardReport(shard=shard.number, error=f"{what}; remove the document that causes this")
        items = ShardItems(shard, columns=self.job.columns, max_line_bytes=self.job.max_line_bytes)
        try:
            report = self.parts.write(shard, self._results(items))
            read = report.model_copy(update={"begin": items.begin, "end": items.end})
            self.parts.finish(read)
        except (SourceError, OutputError, PredictionError) as error:
            return ShardReport(shard=shard.number, error=f"{type(error).__name__}: {error}")
        return read

    def _results(self, items: ShardItems) -> Iterator[Document | FailedDocument]:
        if self.job.on_error == "raise":
            return self.predictor.stream(items)
        return self.predictor.stream(items, on_error="record")
