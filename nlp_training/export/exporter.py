"""Export of a model to a backend: write, verify and score it, and keep it next to the weights if it is as good."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nlp_inference import Document, Predictor, Processor
from nlp_inference.backends.descriptors import REFERENCE, BackendDescriptor, ExportedFiles, find_backend
from nlp_inference.errors import ArtefactError, InvalidSpecError
from nlp_inference.golden import GoldenFile, Verification, read_golden, record_golden, require_verified, verify
from nlp_inference.golden.schema import Origin
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_training.artefact.folder import SETTINGS_FILE, model_folder, write_fingerprint
from nlp_training.config import load_config
from nlp_training.config.user_modules import import_modules
from nlp_training.data import load_documents
from nlp_training.evaluation import evaluate_documents
from nlp_training.export.base import ExportSource, Int8Mode, find_exporter
from nlp_training.export.score import ScoreDrop, score_drop
from nlp_training.trainer.splits import load_splits

MAX_DROP = 0.3
"""Points of the score that an exported model may lose."""

DEFAULT_BACKEND = "onnx"
"""The backend that the base package can run."""


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported model that is as good as the weights.

    Attributes:
        dtype: the precision.
        path: the path of the model.
        size: the size in bytes.
        score: the score compared with that of the weights.
        verification: the verification of its golden records.
    """

    dtype: str
    path: Path
    size: int
    score: ScoreDrop
    verification: Verification


@dataclass(frozen=True, slots=True)
class Refused:
    """An exported model that is not as good as the weights and is not kept.

    Attributes:
        dtype: the precision.
        reason: the reason for the refusal.
        score: the score compared with that of the weights, if it was computed.
    """

    dtype: str
    reason: str
    score: ScoreDrop | None


@dataclass(frozen=True, slots=True)
class _Reference:
    """The data that exported models are compared with."""

    source: ExportSource
    golden: GoldenFile
    validation: Sequence[Document]
    scores: Mapping[str, Any]


def export_model(
    run: str | Path,
    *,
    backend: str = DEFAULT_BACKEND,
    dtypes: Sequence[str] | None = None,
    int8_mode: Int8Mode | None = None,
    max_drop: float = MAX_DROP,
    data: str | Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
) -> Iterator[Exported | Refused]:
    """Export a model to a backend, one precision at a time.

    The weights must verify first. Each exported model must then pass three checks. In float32 it must match the golden
    records of the weights. It must repeat its own golden records, also in batches. And its score on the validation
    documents may be at most `max_drop` points below that of the weights. A model that fails a check is not kept, and
    the files of an earlier export are not changed.

    Args:
        run: the folder of a run, or its `model` folder.
        backend: the backend of the exported model, such as `onnx` or `openvino`.
        dtypes: the precisions to export, such as `float32` and `int8`; `None` means all that the backend supports on
            this machine.
        int8_mode: the source of the scales of 8-bit activations; `None` is the default of the backend.
        max_drop: the points that the score may drop.
        data: documents with gold to score on, instead of the run's validation documents.
        trust_remote_code: whether code that was saved with the model may run.

    Yields:
        The result of each precision.

    Raises:
        ArtefactError: the model cannot be loaded, does not verify, or cannot be expressed in the backend's format.
        InvalidSpecError: the backend has no exporter or does not support a precision, or there are no documents to
            score on or to calibrate with.
        MissingExtraError: the backend or its exporter is not installed.
    """
    descriptor = find_backend(backend)
    exporter_class = find_exporter(descriptor)
    descriptor.require()
    wanted = exporter_class.precisions_here(descriptor) if dtypes is None else tuple(dtypes)
    for dtype in wanted:
        descriptor.check_precision(dtype)
    exporter_class.require(wanted)
    mode = exporter_class.check_int8_mode(int8_mode)
    _check_exportable(model_folder(run), trust_remote_code=trust_remote_code)
    needs_train = mode == "static" and "int8" in wanted
    reference = _load(model_folder(run), data, needs_train=needs_train, trust_remote_code=trust_remote_code)
    with TemporaryDirectory(prefix=".export-", dir=reference.source.folder.parent) as scratch:
        exporter = exporter_class(reference.source, scratch=Path(scratch), int8_mode=mode)
        made = Path(scratch) / "made"
        for dtype in wanted:
            paths = [made / name for name in _exported_files(descriptor).paths(dtype)]
            paths[0].parent.mkdir(parents=True, exist_ok=True)
            exporter.write(dtype, paths)
            yield _judge(made, dtype, descriptor, reference, max_drop=max_drop)


def _check_exportable(folder: Path, *, trust_remote_code: bool) -> None:
    """Check that models of the task can be exported at all, before anything is loaded.

    Raises:
        InvalidSpecError: they cannot.
    """
    task = Processor.from_pretrained(folder, trust_remote_code=trust_remote_code).task
    if task.not_exportable is not None:
        raise InvalidSpecError(f"a model of the task {task.name!r} {task.not_exportable}")


def _load(
    folder: Path, data: str | Mapping[str, Any] | None, *, needs_train: bool, trust_remote_code: bool
) -> _Reference:
    splits, validation = _documents(folder, data, needs_train=needs_train)
    require_verified(folder, trust_remote_code=trust_remote_code)
    predictor = Predictor.from_pretrained(folder, backend=REFERENCE, trust_remote_code=trust_remote_code)
    fingerprint = predictor.processor.fingerprint
    if fingerprint is None:
        raise ArtefactError(
            f"the processor of {str(folder)!r} has no fingerprint of the weights, which an export must record; export "
            "the 'model' folder of a run"
        )
    source = ExportSource(folder, predictor, fingerprint.weights, splits.get("train", ()), trust_remote_code)
    return _Reference(source, read_golden(folder), validation, evaluate_documents(predictor, validation))


def _documents(
    folder: Path, data: str | Mapping[str, Any] | None, *, needs_train: bool
) -> tuple[Mapping[str, Sequence[Document]], Sequence[Document]]:
    """Load the splits of the run, if they are needed, and the documents to score on."""
    configuration = folder / "training.yaml"
    splits: Mapping[str, Sequence[Document]] = {}
    if configuration.is_file():
        config = load_config(configuration)
        import_modules(config.modules)
        splits = load_splits(config) if data is None or needs_train else {}
    validation = splits.get("validation", ()) if data is None else load_documents(data, default_split="validation")
    if not validation:
        raise InvalidSpecError(
            f"the run of {str(folder)!r} has no validation documents to score an exported model on; pass documents: "
            "nlp-training export RUN --data FILE"
        )
    if needs_train and not splits.get("train"):
        raise InvalidSpecError(
            f"{str(folder)!r} does not name its training documents, which are needed to calibrate a static int8 model; "
            "export from the folder of the run, or to a backend that supports --int8-mode dynamic"
        )
    return splits, validation


def _judge(
    made: Path, dtype: str, descriptor: BackendDescriptor, reference: _Reference, *, max_drop: float
) -> Exported | Refused:
    predictor = _predictor(made, dtype, descriptor, reference)
    if dtype == "float32":
        same = verify(predictor, reference.golden)
        if not same.ok:
            return Refused(dtype, f"it does not match the golden records of the weights: {same.first}", None)
    golden = record_golden(predictor, _golden_documents(reference.golden))
    verification = verify(_predictor(made, dtype, descriptor, reference), golden)
    if not verification.ok:
        return Refused(dtype, f"it does not repeat its own golden records: {verification.first}", None)
    needs = reference.source.processor.task.needs
    score = score_drop(reference.scores, evaluate_documents(predictor, reference.validation), needs=needs)
    if score.points > max_drop:
        return Refused(dtype, f"{score.name} drops by {score.points:.2f} points, more than {max_drop:g}", score)
    size = sum((made / name).stat().st_size for name in _exported_files(descriptor).paths(dtype))
    path = _keep(made, golden, dtype, descriptor, folder=reference.source.folder)
    return Exported(dtype, path, size, score, verification)


def _predictor(made: Path, dtype: str, descriptor: BackendDescriptor, reference: _Reference) -> Predictor:
    processor = reference.source.processor
    backend = descriptor.load(
        made, task=processor.task, device="cpu", dtype=dtype, fingerprint=None, trust_remote_code=False
    )
    return Predictor(processor, backend, max_characters=None)


def _golden_documents(golden: GoldenFile) -> dict[Origin, list[Document]]:
    found: dict[Origin, list[Document]] = {}
    for record in golden.records:
        found.setdefault(record.origin, []).append(record.document())
    return found


def _keep(made: Path, golden: GoldenFile, dtype: str, descriptor: BackendDescriptor, *, folder: Path) -> Path:
    """Move an exported model and its records next to the weights, and add it to the fingerprint."""
    files = _exported_files(descriptor)
    (folder / files.folder).mkdir(exist_ok=True)
    golden.write(made, name=files.golden_file(dtype)).replace(folder / files.golden_file(dtype))
    content = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    fingerprint = Fingerprint.model_validate(content["fingerprint"])
    for name in files.paths(dtype):
        (made / name).replace(folder / name)
        fingerprint = fingerprint.with_export(folder / name, runtime=descriptor.runtime)
    write_fingerprint(folder, fingerprint)
    return folder / files.paths(dtype)[0]


def _exported_files(descriptor: BackendDescriptor) -> ExportedFiles:
    if descriptor.exported is None:
        raise InvalidSpecError(f"the backend {descriptor.name!r} has no exported files")
    return descriptor.exported
