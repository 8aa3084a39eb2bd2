"""A smaller vocabulary: tokens that no text needs are removed from the tokenizer and from the embeddings.

It saves memory and start time, and no time of the encoder. Texts that only need kept tokens are tokenized as before:

- WordPiece takes the longest piece at each position, and every piece that it takes is kept.
- Unigram takes the most probable cut, which contains only kept pieces, among fewer cuts.
- BPE keeps every token from which a kept one can be merged, so that the same merges apply in the same order.

Tokens of one character are kept, so that a word without its pieces is cut into more, and does not become unknown.
"""

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from nlp_inference import Document, Processor
from nlp_inference.backends.torch import load_model
from nlp_inference.drift.profile import PROFILE_FILE
from nlp_inference.encoding.tokenization import plain_backend
from nlp_inference.errors import InvalidSpecError
from nlp_inference.golden import read_golden
from nlp_inference.golden.schema import Origin
from nlp_training._utils.replacing import replacing_folder
from nlp_training.artefact.save import save_model

_CHECKED = 2000
"""Documents on which the tokens are compared."""

_TOKEN_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id", "unk_token_id")
"""Keys of configurations with the id of a token."""

_PREFIXES = ("##", "▁", "Ġ")
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
"""A token of a byte, of which unknown characters consist."""

_COPIED = ("training.yaml", "README.md", "metrics.json", "data_report.json", "training_log.json", PROFILE_FILE)
"""Files of an artefact that do not depend on its vocabulary."""


def trim_artefact(source: Path, documents: Sequence[Document], target: Path) -> Path:
    """Write an artefact with a smaller vocabulary, with new golden records of the same texts; return its folder.

    Args:
        source: the artefact.
        documents: the texts whose tokens are kept.
        target: the folder to write.

    Raises:
        InvalidSpecError: the vocabulary cannot be made smaller exactly.
    """
    before = Processor.from_pretrained(source)
    model = load_model(source, task=before.task, fingerprint=before.fingerprint)
    kept = kept_ids(before.tokenizer, used_tokens(before, documents))
    after = Processor(
        trimmed_tokenizer(before.tokenizer, kept),
        before.task,
        before.preprocess.to_spec(),
        before.postprocess.to_spec(),
        before.windows,
        before.format_version,
    )
    check_same_tokens(before, after, kept, documents)
    trim_embeddings(model, kept)
    golden: dict[Origin, list[Document]] = {}
    for record in read_golden(source).records:
        golden.setdefault(record.origin, []).append(record.document())
    with replacing_folder(target) as folder:
        save_model(folder, model, after, golden)
        for name in _COPIED:
            if (source / name).is_file():
                shutil.copy2(source / name, folder / name)
    return target


def used_tokens(processor: Processor, documents: Iterable[Document]) -> set[int]:
    """Return the ids of all tokens of some documents, after preprocessing."""
    task = processor.task
    found: set[int] = set()
    for one in processor.encode([task.as_input(document) for document in documents]):
        for row in processor.rows(one):
            found.update(int(token) for token in row.input_ids)
    return found


def kept_ids(tokenizer: Any, used: Iterable[int]) -> list[int]:
    """Return the ids to keep, ascending: used ones, special ones, those of one character, and parts of merges.

    Raises:
        InvalidSpecError: the kind of tokenizer is not supported.
    """
    content = json.loads(plain_backend(tokenizer).to_str())
    vocabulary = _vocabulary(content["model"])
    names = {number: token for token, number in vocabulary.items()}
    kept = {number for number in used if number in names}
    kept |= {number for token, number in vocabulary.items() if len(_bare(token)) <= 1 or _BYTE.fullmatch(token)}
    kept |= {number for number in tokenizer.all_special_ids if number in names}
    kept |= {one["id"] for one in content["added_tokens"] if one["id"] in names}
    unknown = content["model"].get("unk_token")
    kept |= {vocabulary[unknown]} if unknown in vocabulary else set()
    if isinstance(content["model"].get("unk_id"), int):
        kept.add(content["model"]["unk_id"])
    _add_parts(kept, content["model"], vocabulary)
    return sorted(kept)


def _vocabulary(model: Mapping[str, Any]) -> dict[str, int]:
    kind = model.get("type")
    if kind in ("WordPiece", "BPE") and not model.get("ignore_merges"):
        return dict(model["vocab"])
    if kind == "Unigram":
        return {token: number for number, (token, _) in enumerate(model["vocab"])}
    raise InvalidSpecError(
        f"the vocabulary of a tokenizer of the kind {kind!r} cannot be made smaller exactly; remove --trim-vocabulary"
    )


def _bare(token: str) -> str:
    for prefix in _PREFIXES:
        token = token.removeprefix(prefix)
    return token


def _add_parts(kept: set[int], model: Mapping[str, Any], vocabulary: Mapping[str, int]) -> None:
    """Add the tokens from which kept tokens of BPE are merged."""
    merges = [_pair(one) for one in model.get("merges", ())]
    parts: dict[int, set[int]] = {}
    for first, second in merges:
        merged = vocabulary.get(first + second)
        if merged is not None:
            parts.setdefault(merged, set()).update((vocabulary[first], vocabulary[second]))
    waiting = list(kept)
    while waiting:
        for part in parts.get(waiting.pop(), ()):
            if part not in kept:
                kept.add(part)
                waiting.append(part)


def _pair(merge: Any) -> tuple[str, str]:
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second


def trimmed_tokenizer(tokenizer: Any, kept: Sequence[int]) -> Any:
    """Return a tokenizer with some of the tokens, numbered anew in the same order.

    Args:
        tokenizer: a fast tokenizer of transformers.
        kept: the ids of the tokens to keep, ascending.
    """
    content = json.loads(plain_backend(tokenizer).to_str())
    numbers = {old: new for new, old in enumerate(kept)}
    model, vocabulary = content["model"], _vocabulary(content["model"])
    tokens = {token: numbers[number] for token, number in vocabulary.items() if number in numbers}
    if model["type"] == "Unigram":
        model["vocab"] = [entry for number, entry in enumerate(model["vocab"]) if number in numbers]
        if model.get("unk_id") is not None:
            model["unk_id"] = numbers[model["unk_id"]]
    else:
        model["vocab"] = tokens
    if "merges" in model:
        pairs = [(one, *_pair(one)) for one in model["merges"]]
        model["merges"] = [one for one, first, second in pairs if {first, second, first + second} <= tokens.keys()]
    for one in content["added_tokens"]:
        one["id"] = numbers[one["id"]]
    _renumber_template(content.get("post_processor"), numbers)
    made = Tokenizer.from_str(json.dumps(content))
    return type(tokenizer)(tokenizer_object=made, **_settings(tokenizer))


def _settings(tokenizer: Any) -> dict[str, Any]:
    kept = {name: value for name, value in tokenizer.init_kwargs.items() if not name.endswith("_file")}
    for name in ("tokenizer_object", "added_tokens_decoder", "vocab", "merges", "name_or_path"):
        kept.pop(name, None)
    return kept


def _renumber_template(node: Any, numbers: Mapping[int, int]) -> None:
    """Renumber the special tokens that a post-processor adds."""
    if isinstance(node, list):
        for one in node:
            _renumber_template(one, numbers)
    if not isinstance(node, dict):
        return
    for name in ("sep", "cls"):
        if isinstance(node.get(name), list):
            node[name][1] = numbers[node[name][1]]
    for one in node.get("special_tokens", {}).values() if isinstance(node.get("special_tokens"), dict) else ():
        one["ids"] = [numbers[number] for number in one["ids"]]
    _renumber_template(node.get("processors"), numbers)


def trim_embeddings(model: Any, kept: Sequence[int]) -> None:
    """Keep the embeddings of some tokens, in place.

    Args:
        model: a model of transformers.
        kept: the ids of the tokens to keep, ascending.

    Raises:
        InvalidSpecError: the model writes text, for which it needs every token.
    """
    if model.config.is_encoder_decoder or model.get_output_embeddings() is not None:
        raise InvalidSpecError("a model that writes text needs every token; remove --trim-vocabulary")
    embedding = model.get_input_embeddings()
    old = embedding.weight.detach()
    chosen = torch.tensor([number for number in kept if number < len(old)])
    embedding.weight = nn.Parameter(old[chosen].clone())
    embedding.num_embeddings = len(chosen)
    numbers = {before: now for now, before in enumerate(kept)}
    if embedding.padding_idx is not None:
        embedding.padding_idx = numbers.get(embedding.padding_idx)
    config = model.config
    config.vocab_size = len(chosen)
    for name in _TOKEN_IDS:
        value = getattr(config, name, None)
        if isinstance(value, int):
            setattr(config, name, numbers.get(value))


def check_same_tokens(before: Processor, after: Processor, kept: Sequence[int], documents: Sequence[Document]) -> None:
    """Check that documents have the same tokens with a smaller vocabulary.

    Raises:
        InvalidSpecError: they do not.
    """
    task = before.task
    inputs = [task.as_input(one) for one in documents[:_CHECKED]]
    for one, other in zip(before.encode(inputs), after.encode(inputs), strict=True):
        for row, trimmed in zip(before.rows(one), after.rows(other), strict=True):
            if list(row.input_ids) != [kept[number] for number in trimmed.input_ids]:
                raise InvalidSpecError(
                    "the tokenizer cuts a training text differently without unused tokens; remove --trim-vocabulary"
                )
