"""An artefact's exported models: made, replayed, scored, and put beside the weights only if they are as good."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from nlp_inference import Document, Predictor, Processor
from nlp_inference.backends.onnx import OnnxBackend
from nlp_inference.backends.onnx_files import ONNX_STEMS, onnx_file, onnx_golden_file
from nlp_inference.backends.torch import load_model
from nlp_inference.errors import ArtefactError, InvalidSpecError
from nlp_inference.golden import GoldenFile, Verification, read_golden, record_golden, require_verified, verify
from nlp_inference.golden.schema import Origin
from nlp_inference.predict.batching import token_budget_batches
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_training.artefact.folder import SETTINGS_FILE, model_folder, write_fingerprint
from nlp_training.config import load_config
from nlp_training.config.user_modules import import_modules
from nlp_training.data import load_documents
from nlp_training.evaluation import evaluate_documents
from nlp_training.export.graph import describe, export_graph, save_graph
from nlp_training.export.precision import Int8Mode, to_float16, to_int8_dynamic, to_int8_static
from nlp_training.export.score import ScoreDrop, score_drop
from nlp_training.trainer.build import load_splits

MAX_DROP = 0.3
"""Points of the score that an exported model may lose."""

CALIBRATION_DOCUMENTS = 256
"""Training documents that the scales of activations are taken from (`int8_mode="static"`)."""

_CALIBRATION_BUDGET = 1024


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported model that is as good as the weights.

    Attributes:
        dtype: its precision.
        path: where it is.
        size: bytes.
        score: beside that of the weights.
        verification: of its own golden records.
    """

    dtype: str
    path: Path
    size: int
    score: ScoreDrop
    verification: Verification


@dataclass(frozen=True, slots=True)
class Refused:
    """An exported model that is not as good, and is not kept.

    Attributes:
        dtype: its precision.
        reason: why.
        score: beside that of the weights, if it came so far.
    """

    dtype: str
    reason: str
    score: ScoreDrop | None


@dataclass(frozen=True, slots=True)
class _Source:
    """What all exports of an artefact are made of and compared with."""

    folder: Path
    predictor: Predictor
    weights: Mapping[str, str]
    golden: GoldenFile
    validation: Sequence[Document]
    train: Sequence[Document]
    scores: Mapping[str, Any]

    @property
    def processor(self) -> Processor:
        return self.predictor.processor


def export_model(
    run: str | Path,
    *,
    dtypes: Sequence[str] = tuple(ONNX_STEMS),
    int8_mode: Int8Mode = "dynamic",
    max_drop: float = MAX_DROP,
    data: str | Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
) -> Iterator[Exported | Refused]:
    """Export a model to ONNX, one precision after the other.

    The weights must verify first. Then each exported model is replayed and scored: in float32 it must do what the
    golden records of the weights say; each gets golden records of its own, which it must repeat in batches too; and its
    score on the validation documents may be lower than that of the weights by `max_drop` points at most. One that fails
    is not kept; what an earlier export left stays.

    Args:
        run: the folder of a run, or its `model` folder.
        dtypes: precisions to export: `float32`, `float16`, `int8`.
        int8_mode: where the scales of 8-bit activations come from.
        max_drop: points that the score may fall.
        data: documents with gold to score on, in the place of the run's validation documents.
        trust_remote_code: whether code that was saved with the model may run.

    Yields:
        What became of each precision.

    Raises:
        ArtefactError: the model cannot be loaded, does not verify, or cannot be expressed in ONNX.
        InvalidSpecError: there are no documents to score on, or none to calibrate with.
    """
    source = _load(
        model_folder(run),
        data,
        needs_train=int8_mode == "static" and "int8" in dtypes,
        trust_remote_code=trust_remote_code,
    )
    with TemporaryDirectory(prefix=".export-", dir=source.folder.parent) as made:
        plain = Path(made) / "plain.onnx"
        save_graph(_graph(source, trust_remote_code=trust_remote_code), plain)
        for dtype in dtypes:
            path = Path(made) / Path(onnx_file(dtype)).name
            mode = int8_mode if dtype == "int8" else ""
            graph = _converted(plain, dtype, source, int8_mode=int8_mode)
            describe(
                graph,
                weights=source.weights,
                dtype=dtype,
                quantization=mode,
                limits=getattr(source.predictor.backend, "limits", None),
                rows_apart=getattr(source.predictor.backend, "rows_apart", False),
            )
            save_graph(graph, path)
            yield _judge(path, dtype, source, max_drop=max_drop)


def _load(folder: Path, data: str | Mapping[str, Any] | None, *, needs_train: bool, trust_remote_code: bool) -> _Source:
    configuration = folder / "training.yaml"
    splits: Mapping[str, Sequence[Document]] = {}
    if configuration.is_file():
        config = load_config(configuration)
        import_modules(config.modules)
        splits = load_splits(config) if data is None or needs_train else {}
    validation = splits.get("validation", ()) if data is None else load_documents(data, default_split="validation")
    if not validation:
        raise InvalidSpecError(
            f"the run of {str(folder)!r} has no validation documents to score an exported model on; give some: "
            "nlp-training export RUN --data FILE"
        )
    if needs_train and not splits.get("train"):
        raise InvalidSpecError(
            f"{str(folder)!r} does not say what it was trained on, so that there is nothing to calibrate a static int8 "
            "model with; export with --int8-mode dynamic"
        )
    require_verified(folder, trust_remote_code=trust_remote_code)
    predictor = Predictor.from_pretrained(folder, backend="torch", trust_remote_code=trust_remote_code)
    fingerprint = predictor.processor.fingerprint
    if fingerprint is None:
        raise ArtefactError(
            f"the processor of {str(folder)!r} does not say which weights it was saved with, so that an export could "
            "not be told from one of other weights; export the 'model' folder of a run"
        )
    scores = evaluate_documents(predictor, validation)
    golden = read_golden(folder)
    return _Source(folder, predictor, fingerprint.weights, golden, validation, splits.get("train", ()), scores)


def _graph(source: _Source, *, trust_remote_code: bool) -> onnx.ModelProto:
    processor = source.processor
    model = load_model(
        source.folder, task=processor.task, fingerprint=processor.fingerprint, trust_remote_code=trust_remote_code
    )
    return export_graph(model, processor)


def _converted(plain: Path, dtype: str, source: _Source, *, int8_mode: Int8Mode) -> onnx.ModelProto:
    scratch = plain.with_name("scratch.onnx")
    if dtype == "float16":
        return to_float16(onnx.load(plain))
    if dtype == "int8" and int8_mode == "dynamic":
        return to_int8_dynamic(plain, scratch)
    if dtype == "int8":
        return to_int8_static(plain, scratch, _calibration_batches(source))
    return onnx.load(plain)


def _calibration_batches(source: _Source) -> Iterator[dict[str, NDArray[np.int64]]]:
    """Some training documents on the one route: as the predictor would read them."""
    count = min(CALIBRATION_DOCUMENTS, len(source.train))
    drawn = Random(0).sample(list(source.train), count)  # noqa: S311 - a sample
    encoded = source.processor.encode([document.unannotated() for document in drawn])
    rows = [row for one in encoded for row in source.processor.rows(one)]
    for positions in token_budget_batches([len(row.input_ids) for row in rows], _CALIBRATION_BUDGET):
        yield source.processor.layout.pad([rows[position] for position in positions])


def _judge(path: Path, dtype: str, source: _Source, *, max_drop: float) -> Exported | Refused:
    predictor = _predictor(path, dtype, source)
    if dtype == "float32":
        same = verify(predictor, source.golden)
        if not same.ok:
            return Refused(dtype, f"it does not do what the golden records of the weights say: {same.first}", None)
    golden = record_golden(predictor, _golden_documents(source.golden))
    verification = verify(_predictor(path, dtype, source), golden)
    if not verification.ok:
        return Refused(dtype, f"it does not repeat its own golden records: {verification.first}", None)
    needs = source.processor.task.needs
    score = score_drop(source.scores, evaluate_documents(predictor, source.validation), needs=needs)
    if score.points > max_drop:
        return Refused(dtype, f"{score.name} falls by {score.points:.2f} points, more than {max_drop:g}", score)
    size = path.stat().st_size
    return Exported(dtype, _keep(path, golden, dtype, source), size, score, verification)


def _predictor(path: Path, dtype: str, source: _Source) -> Predictor:
    backend = OnnxBackend.from_file(path, task=source.processor.task, dtype=dtype, device="cpu")
    return Predictor(source.processor, backend, max_characters=None)


def _golden_documents(golden: GoldenFile) -> dict[Origin, list[Document]]:
    found: dict[Origin, list[Document]] = {}
    for record in golden.records:
        found.setdefault(record.origin, []).append(record.document())
    return found


def _keep(path: Path, golden: GoldenFile, dtype: str, source: _Source) -> Path:
    """Put an exported model and its records beside the weights; it can be loaded once the fingerprint names it."""
    target = source.folder / onnx_file(dtype)
    target.parent.mkdir(exist_ok=True)
    records = golden.write(path.parent, name=Path(onnx_golden_file(dtype)).name)
    records.replace(source.folder / onnx_golden_file(dtype))
    path.replace(target)
    content = json.loads((source.folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    fingerprint = Fingerprint.model_validate(content["fingerprint"])
    write_fingerprint(source.folder, fingerprint.with_export(target, runtime="onnxruntime"))
    return target
