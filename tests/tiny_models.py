"""Models of a few thousand weights."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_inference import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LABELS = ("PERSON", "CITY")


def tiny_model(task: Task, vocab_size: int = 30522, *, layers: int = 1) -> "PreTrainedModel":
    """A BERT of narrow layers, the same weights every time, with logits that differ clearly."""
    import torch
    from transformers import BertConfig

    from nlp_inference.backends.torch import model_class

    if task.auto_model == "AutoModelForSeq2SeqLM":
        return tiny_t5(vocab_size, num_layers=layers)
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
        **task.model_settings(),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: PreTrainedModel = model_class(task).from_config(config)
        for name, weight in model.named_parameters():
            name = re.sub(r"^heads\.\w+_head\.", "", name)  # noqa: PLW2901 - of a multi-task model
            if name.startswith(("classifier.weight", "span_head.", "relation_head.", "crf.")):
                torch.nn.init.normal_(weight, std=0.02 if name.startswith("crf.") else 1.0)
    return model.eval()


def tiny_t5(vocab_size: int = 30522, **settings: Any) -> "PreTrainedModel":
    """A T5 of one narrow layer on each side, the same weights every time, whose texts differ between inputs.

    Its special tokens are those of BERT: [PAD] is also the start of the decoder, and [SEP] ends a text.
    """
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    sizes = {"vocab_size": vocab_size, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    ids = {"pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": 102}
    config = T5Config(**{**sizes, **ids, **settings})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = T5ForConditionalGeneration(config)
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=1.0 if "shared" in name else 0.5)
    return model.eval()


def save_tiny_base(folder: Path, tokenizer: "PreTrainedTokenizerBase", **settings: Any) -> Path:
    """Save a folder like that of a pretrained encoder, with one narrow layer, the same weights every time."""
    import torch
    from transformers import BertConfig, BertModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(BertConfig(num_hidden_layers=1, num_attention_heads=2, **settings)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
