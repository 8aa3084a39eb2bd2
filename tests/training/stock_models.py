"""Checkpoints as transformers saves them, of many families, with a few thousand random weights."""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from made_up_records import span_records, write_jsonl
from rich.console import Console
from tokenizer_kinds import make_tokenizer

from nlp_training.adopt import AdoptOptions, adopt

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
FAMILIES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "Bert": ("bert uncased", SIZES),
    "DistilBert": (
        "bert cased",
        {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 64, "pad_token_id": 0},
    ),
    "Roberta": ("roberta", {**SIZES, "max_position_embeddings": 66, "pad_token_id": 1}),
    "XLMRoberta": ("xlm-r", {**SIZES, "max_position_embeddings": 66, "pad_token_id": 1}),
    "Camembert": ("camembert", {**SIZES, "max_position_embeddings": 66, "pad_token_id": 1}),
    "Electra": ("bert uncased", {**SIZES, "embedding_size": 16}),
    "Albert": ("albert", {**SIZES, "embedding_size": 16}),
    "DebertaV2": ("deberta v3", SIZES),
    "MPNet": ("bert uncased", {**SIZES, "max_position_embeddings": 66, "pad_token_id": 1}),
    "ModernBert": (
        "modernbert",
        {**SIZES, "global_attn_every_n_layers": 1, "cls_token_id": 2, "sep_token_id": 3, "reference_compile": False},
    ),
    "GPT2": ("llama 3", {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64, "n_inner": 32}),
    "ConvBert": ("bert cased", {**SIZES, "embedding_size": 16, "conv_kernel_size": 3, "head_ratio": 1}),
}
"""The kind of the tokenizer and the configuration of each family."""

BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def save_stock(
    folder: Path,
    head: str = "TokenClassification",
    *,
    family: str = "Bert",
    names: Sequence[str] | Mapping[int, str] = BIO,
    rows: int | None = None,
    config: Mapping[str, Any] | None = None,
    tokenizer: Mapping[str, Any] | None = None,
    bias: Mapping[int, float] | None = None,
    dtype: str = "float32",
) -> Path:
    """Save a checkpoint.

    Args:
        folder: where.
        head: the end of the class's name.
        family: the beginning of the class's name.
        names: the names of the outputs.
        rows: the number of outputs, if there are more than names.
        config: entries of `config.json` to change after saving; `None` removes one.
        tokenizer: attributes of the tokenizer to set.
        bias: added to the bias of outputs.
        dtype: of the stored weights.
    """
    kind, sizes = FAMILIES[family]
    id2label = dict(names) if isinstance(names, Mapping) else dict(enumerate(names))
    tokens = copy.deepcopy(make_tokenizer(kind))
    for name, value in (tokenizer or {}).items():
        setattr(tokens, name, value)
    count = rows or len(id2label)
    settings = getattr(transformers, f"{family}Config")(
        vocab_size=len(tokens), id2label={row: f"LABEL_{row}" for row in range(count)}, **sizes
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, f"{family}For{head}")(settings)
        _make_clear(model, count, bias or {})
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    tokens.save_pretrained(folder)
    label2id = {name: row for row, name in id2label.items()}
    edit_config(folder, {"id2label": id2label, "label2id": label2id, **(config or {})})
    return folder


def _make_clear(model: Any, rows: int, bias: Mapping[int, float]) -> None:
    """Give the head weights whose outputs differ clearly."""
    heads = [one for one in model.modules() if isinstance(one, torch.nn.Linear) and one.out_features == rows]
    torch.nn.init.normal_(heads[-1].weight, std=0.7)
    for row, value in bias.items():
        heads[-1].bias.data[row] += value


def save_page_material(folder: Path) -> None:
    """Save what the snippets of docs/adopt.md name: `org/ner`, which finds names, `org/unnamed`, and `gold.jsonl`."""
    records = span_records("gold", 40)
    write_jsonl(folder / "gold.jsonl", records)
    write_jsonl(folder / "texts.jsonl", [{"text": str(record["text"])} for record in records[:4]])
    names = ("O", "B-PERSON", "I-PERSON", "B-CITY", "I-CITY")
    _fit_head(save_stock(folder / "org" / "ner", names=names), [_without_markup(record) for record in records])
    save_stock(folder / "org" / "unnamed", "SequenceClassification", names=("LABEL_0", "LABEL_1"))


def save_adopted_page_material(folder: Path) -> None:
    """Save what the snippets of docs/annotate.md name: `models/ner`, an artefact, and `texts.jsonl`."""
    save_page_material(folder)
    options = AdoptOptions(scheme="BIO", preprocess=("strip_html",))
    adopt(str(folder / "org" / "ner"), folder / "models" / "ner", options=options, console=Console(quiet=True))


def _without_markup(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sentence as it is after `strip_html`, with its spans."""
    text = record["text"].replace("<b>", "").replace("</b>", "").replace("&nbsp;", " ")
    surfaces = [(record["text"][span["start"] : span["end"]], span["label"]) for span in record["spans"]]
    spans = [
        {"start": text.index(surface), "end": text.index(surface) + len(surface), "label": label}
        for surface, label in surfaces
    ]
    return {"text": text, "spans": spans}


def _fit_head(stock: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Fit the head of a token classifier to documents by least squares."""
    model = transformers.AutoModelForTokenClassification.from_pretrained(stock)
    tokenizer = transformers.AutoTokenizer.from_pretrained(stock)
    features, targets = [], []
    for record in records:
        encoded = tokenizer(record["text"], return_tensors="pt", return_offsets_mapping=True)
        begins = [(int(start), int(end)) for start, end in encoded.pop("offset_mapping")[0]]
        with torch.inference_mode():
            features.append(model.base_model(**encoded).last_hidden_state[0])
        targets.append(torch.tensor([_tag(begin, record["spans"], model.config.label2id) for begin in begins]))
    inputs = torch.cat(features).clone()
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    wanted = torch.nn.functional.one_hot(torch.cat(targets), len(model.config.label2id)).float() * 12
    solved = torch.linalg.lstsq(inputs, wanted).solution
    model.classifier.weight.data, model.classifier.bias.data = solved[:-1].T.contiguous(), solved[-1].contiguous()
    model.save_pretrained(stock)


def _tag(token: tuple[int, int], spans: Sequence[Mapping[str, Any]], ids: Mapping[str, int]) -> int:
    for span in spans:
        if span["start"] <= token[0] < span["end"]:
            return ids[f"{'B' if token[0] == span['start'] else 'I'}-{span['label']}"]
    return ids["O"]


def edit_config(folder: Path, changes: Mapping[str, Any], *, name: str = "config.json") -> None:
    """Change entries of a JSON file; `None` removes one."""
    content = {**json.loads((folder / name).read_text()), **changes}
    (folder / name).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
