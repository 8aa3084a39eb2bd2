"""The card, its attainable peak, and models of a given size; for benchmarks/gpu.py."""

import json
import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from gpu_settings import Clock, Row, Settings, Shape, failure, no_time
from side_by_side import new_processor
from transformers import AutoConfig, AutoModel, AutoModelForTokenClassification, BertConfig

from nlp_inference import TokenClassification
from nlp_inference._utils.cores import available_cores, cpu_name

LABELS = ("PERSON", "CITY", "ORGANIZATION")
PEAKS = "peaks.json"
"""The attainable operations per second by precision, for the sections that follow."""

PRECISIONS = {
    "float32": torch.float32,
    "float32, TF32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_LEAST_SECONDS = 0.5


def machine_rows(settings: Settings, folder: Path, clock: Clock) -> Iterator[Row]:
    """Describe the machine, and measure the peak of each precision."""
    yield {"": "machine", "value": description(settings.device)}
    peaks = {}
    for name, dtype in PRECISIONS.items():
        if not clock.has(5):
            yield no_time(f"products in {name}")
            continue
        try:
            peaks[name] = products_per_second(settings, dtype, tf32="TF32" in name)
            yield {"": f"products in {name}", "value": f"{peaks[name] / 1e12:.3g} TFLOP/s"}
        except Exception as error:  # noqa: BLE001 - such as a precision that the device does not have
            yield failure(f"products in {name}", error)
    (folder / PEAKS).write_text(json.dumps(peaks))


def description(device: str) -> str:
    """Return the card, its memory, the driver, the processor and the versions."""
    packages = "; ".join(f"{name} {_version(name)}" for name in ("torch", "transformers", "onnxruntime"))
    host = f"{cpu_name()}, {available_cores()} cores; Python {platform.python_version()}; {packages}"
    if not device.startswith("cuda"):
        return f"no GPU; {host}"
    found = torch.cuda.get_device_properties(device)
    card = f"{found.name}, {found.total_memory / 2**30:.0f} GiB, capability {found.major}.{found.minor}"
    return f"{card}, CUDA {torch.version.cuda}; {host}"


def products_per_second(settings: Settings, dtype: torch.dtype, *, tf32: bool) -> float:
    """Return the floating-point operations per second of a product of two square matrices."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        left, right = (
            torch.randn(settings.matrix, settings.matrix, device=settings.device).to(dtype) for _ in range(2)
        )
        for _ in range(3):
            left @ right
        wait(settings)
        started, count = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - started) < (0.01 if settings.reduced else _LEAST_SECONDS):
            for _ in range(10):
                left @ right
            wait(settings)
            count += 10
        return 2 * settings.matrix**3 * count / elapsed
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def wait(settings: Settings) -> None:
    """Wait until the device has done its work."""
    if settings.on_gpu:
        torch.cuda.synchronize(settings.device)


def read_peaks(folder: Path) -> dict[str, float]:
    """Return the peaks that the section `machine` measured, by precision; empty if it has not run."""
    path = folder / PEAKS
    peaks: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
    return peaks


def operations_per_document(shape: Shape, lengths: list[int]) -> float:
    """Return the floating-point operations of a forward pass per document, without padding, embeddings and head.

    Source: section 2.1 of Kaplan et al. 2020, https://arxiv.org/abs/2001.08361

    Example:
        >>> operations_per_document(Shape(1, 2, 1, 4), [10])
        1440.0
    """
    weights = shape.layers * (4 * shape.hidden**2 + 2 * shape.hidden * shape.intermediate)
    attention = [4 * shape.layers * shape.hidden * length for length in lengths]
    total = sum(length * (2 * weights + scores) for length, scores in zip(lengths, attention, strict=True))
    return total / len(lengths)


def bert_config(shape: Shape, **settings: object) -> BertConfig:
    """Return the configuration of a BERT of a given size with MiniLM's vocabulary."""
    return BertConfig(
        num_hidden_layers=shape.layers,
        hidden_size=shape.hidden,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        **settings,
    )


def shape_of(folder: Path) -> Shape:
    """Return the size of a saved encoder."""
    config = AutoConfig.from_pretrained(folder)
    return Shape(config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size)


def save_untrained(folder: Path, shape: Shape) -> Path:
    """Save an artefact with random weights that predicts no span, because decoding many spans would take the time."""
    processor = new_processor(TokenClassification(labels=LABELS))
    torch.manual_seed(0)
    config = bert_config(shape, **processor.task.model_settings())
    model = AutoModelForTokenClassification.from_config(config)
    outside = model.config.label2id["O"]
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.zero_()
        model.classifier.bias[outside] = 5.0
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def save_base(folder: Path, shape: Shape) -> Path:
    """Save an encoder with random weights, from which a training starts."""
    processor = new_processor(TokenClassification(labels=LABELS))
    torch.manual_seed(0)
    AutoModel.from_config(bert_config(shape)).save_pretrained(folder)
    processor.tokenizer.save_pretrained(folder)
    return folder


def _version(name: str) -> str:
    for one in (name, f"{name}-gpu"):
        try:
            return version(one)
        except PackageNotFoundError:
            continue
    return "not installed"
