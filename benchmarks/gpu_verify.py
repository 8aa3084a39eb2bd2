"""Golden records across devices, and ONNX Runtime on CUDA; for benchmarks/gpu.py."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from gpu_predict import Variant, be_quiet, measure
from gpu_settings import Clock, Row, Settings, failure, no_time
from side_by_side import make_texts

from nlp_inference import Predictor
from nlp_inference.golden import golden_file, read_golden, verify

TRAINED = "trained"
"""The folder of the run that the section `train` keeps."""


def trained_model(settings: Settings, folder: Path) -> Path | None:
    """Return the trained model of the caller or of the section `train`, if there is one."""
    found = settings.model or next((folder / TRAINED).glob("*/model"), None)
    return found if found is not None and (found / "golden.json").is_file() else None


def verify_rows(settings: Settings, folder: Path, clock: Clock) -> Iterator[Row]:
    """Yield for each device and precision how the golden records of the training are reproduced."""
    be_quiet()
    model = trained_model(settings, folder)
    if model is None:
        yield {"": "golden records", "note": "not verified: no trained model; run the section train, or pass --model"}
        return
    golden = read_golden(model)
    for device in dict.fromkeys(("cpu", settings.device)):
        for dtype in ("float32", "bfloat16", "float16"):
            name = f"{device}, {dtype}"
            if not clock.has(10):
                yield no_time(name)
                continue
            try:
                predictor = Predictor.from_pretrained(model, backend="torch", device=device, dtype=dtype)
                yield {"": name, **_verified(predictor, golden)}
            except Exception as error:  # noqa: BLE001 - the row states it
                yield failure(name, error)


def _verified(predictor: Predictor, golden: object) -> Row:
    found = verify(predictor, golden)
    row = {
        "records": found.records,
        "same": found.records - len(found.differences),
        "bit for bit": found.bit_for_bit,
        "largest difference of logits": f"{found.largest_deviation:.1e}",
        "allowed": f"{found.logits_within:g}",
    }
    return row if found.first is None else {**row, "note": str(found.first)[:160].replace("|", "/").replace("\n", " ")}


def onnx_rows(settings: Settings, folder: Path, clock: Clock) -> Iterator[Row]:
    """Yield documents per second of the exported model on the device, and whether it verifies."""
    import onnxruntime

    be_quiet()
    model = trained_model(settings, folder)
    providers = onnxruntime.get_available_providers()
    if settings.on_gpu and "CUDAExecutionProvider" not in providers:
        yield {"": "ONNX Runtime", "note": f"no CUDA: it has {', '.join(providers)}; install onnxruntime-gpu"}
        return
    if model is None:
        yield {"": "ONNX Runtime", "note": "no trained model; run the section train, or pass --model"}
        return
    from nlp_training.export import Exported, export_model

    copy = shutil.copytree(model.parent, folder / "exported")
    texts, scored = make_texts(settings.documents), folder / "data" / "mixed.test.jsonl"
    data = {"path": str(scored)} if settings.model is None else None  # the run has no validation documents
    for dtype in ("float32", "float16") if settings.on_gpu else ("float32",):
        if not clock.has(20):
            yield no_time(dtype)
            continue
        try:
            [exported] = export_model(copy, backend="onnx", dtypes=[dtype], max_drop=100, data=data)
            if not isinstance(exported, Exported):
                yield {"": dtype, "note": f"not exported: {exported.reason[:160]}"}
                continue
            options = {"backend": "onnx", "dtype": dtype, "device": settings.device.partition(":")[0]}
            predictor = Predictor.from_pretrained(copy / "model", **options)
            measured = measure(Variant(dtype, lambda run=predictor.predict: run, dtype), texts, settings)
            golden = read_golden(copy / "model", name=golden_file("onnx", dtype))
            yield {"": dtype, "documents / s": f"{measured['rate']:.0f}", **_verified(predictor, golden)}
        except Exception as error:  # noqa: BLE001 - the row states it
            yield failure(dtype, error)
