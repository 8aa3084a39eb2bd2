"""Which families of transformers mix padding into their outputs: each tiny, its rows alone and in a padded batch."""

from typing import Any

import pytest
import torch
from transformers import (
    CONFIG_MAPPING,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    MobileBertConfig,
    MobileBertModel,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
)

from nlp_inference.architectures.padding_families import mixes_padding

HEADS = {
    "tokens": (AutoModelForTokenClassification, MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES),
    "texts": (AutoModelForSequenceClassification, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES),
}
LENGTHS = (7, 16, 45, 90)
BERT = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 600,
}
SIZES: dict[str, Any] = BERT | {
    **dict.fromkeys(("d_model", "n_embd", "dim", "emb_dim", "embedding_size", "intra_bottleneck_size"), 32),
    **dict.fromkeys(
        ("n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers", "num_experts_per_tok"), 2
    ),
    **dict.fromkeys(("n_head", "n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("d_ff", "d_inner", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim", "n_inner", "hidden_dim"), 64),
    **dict.fromkeys(("d_kv", "d_head", "head_dim"), 8),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 16),
    "num_key_value_heads": 2,
    "n_positions": 600,
    "attention_window": 16,
    "segment_means_seq_len": 64,
    "num_landmarks": 64,
}
"""Sizes that make a model tiny, for the configurations that have them."""

LAYERS = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "max_position_embeddings": 600, "vocab_size": 120}
SPECIAL: dict[str, dict[str, Any]] = {
    "big_bird": BERT | {"block_size": 4, "num_random_blocks": 1, "attention_type": "block_sparse"},
    "bigbird_pegasus": LAYERS
    | {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    | {"block_size": 4, "num_random_blocks": 1},
    "canine": {name: size for name, size in BERT.items() if name != "vocab_size"}
    | {"num_hash_functions": 4, "num_hash_buckets": 1024, "local_transformer_stride": 16},
    "esm": BERT | {"mask_token_id": 3},
    "esmc": {"vocab_size": 120, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    "funnel": {"vocab_size": 120, "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 64, "block_sizes": [1, 1, 1]},
    "lilt": BERT | {"hidden_size": 48, "channel_shrink_ratio": 2},
    "luke": BERT | {"entity_vocab_size": 10, "entity_emb_size": 8},
    "reformer": {"vocab_size": 120, "hidden_size": 32, "axial_pos_shape": [10, 12], "axial_pos_embds_dim": [16, 16]}
    | {"num_attention_heads": 2, "attention_head_size": 8, "local_attn_chunk_length": 16, "feed_forward_size": 64}
    | {"lsh_attn_chunk_length": 16, "num_buckets": 4, "is_decoder": False},
    "t5": {"vocab_size": 120, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    | {"decoder_start_token_id": 0},
    "xlnet": {"vocab_size": 120, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},
    "xmod": BERT | {"languages": ["en_XX"], "default_language": "en_XX"},
}
"""Configurations that `SIZES` does not make tiny, or that need other settings."""

ENCODERS = frozenset(
    [
        "albert",
        "bert",
        "big_bird",
        "camembert",
        "canine",
        "convbert",
        "data2vec-text",
        "deberta",
        "deberta-v2",
        "distilbert",
        "electra",
        "ernie",
        "esm",
        "eurobert",
        "flaubert",
        "fnet",
        "funnel",
        "ibert",
        "layoutlm",
        "lilt",
        "longformer",
        "luke",
        "markuplm",
        "megatron-bert",
        "mobilebert",
        "modernbert",
        "mpnet",
        "mra",
        "nomic_bert",
        "nystromformer",
        "rembert",
        "roberta",
        "roberta-prelayernorm",
        "roc_bert",
        "roformer",
        "squeezebert",
        "xlm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xlnet",
        "xmod",
        "yoso",
    ]
)
"""Families that must be tested; others are skipped if they cannot be made tiny."""

QUICK = frozenset(
    {"bert", "canine", "convbert", "deberta-v2", "fnet", "funnel", "modernbert", "roberta", "xlm-roberta", "xlnet"}
)
PAIRS = [(kind, head) for head, (_, names) in HEADS.items() for kind in sorted(names)]


def tiny(kind: str, head: str) -> torch.nn.Module:
    """A model of a family with random weights, of which only the embedding of the padding token is zero."""
    settings = SPECIAL.get(kind)
    if settings is None:
        default = CONFIG_MAPPING[kind]()
        settings = {name: size for name, size in SIZES.items() if getattr(default, name, None) is not None}
    config = CONFIG_MAPPING[kind](**settings, pad_token_id=0, eos_token_id=2, num_labels=3)
    with torch.device("meta"):
        size = sum(one.numel() for one in HEADS[head][0].from_config(config).parameters())
    if size > 2 * 10**7:
        raise ValueError(f"{kind} has {size} weights")
    torch.manual_seed(0)
    model = HEADS[head][0].from_config(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=0.3)
    for one in model.modules():
        if isinstance(one, torch.nn.Embedding) and one.padding_idx is not None:
            one.weight.data[one.padding_idx] = 0
    return model


@torch.no_grad()
def difference(model: Any, head: str) -> float:
    """The greatest difference between rows alone and in a batch, as a share of the greatest logit."""
    draw = torch.Generator().manual_seed(1)
    rows = [torch.randint(5, 110, (length,), generator=draw) for length in LENGTHS]
    ids, mask = (torch.zeros(len(rows), max(LENGTHS), dtype=torch.long) for _ in range(2))
    for index, row in enumerate(rows):
        row[-1] = 2  # some heads read the last end-of-sequence token
        ids[index, : len(row)], mask[index, : len(row)] = row, 1
    together, worst = model(input_ids=ids, attention_mask=mask).logits, 0.0
    for index, row in enumerate(rows):
        alone = model(input_ids=row[None], attention_mask=torch.ones_like(row)[None]).logits[0]
        batched = together[index][: len(row)] if head == "tokens" else together[index]
        worst = max(worst, float((alone - batched).abs().max() / alone.abs().max()))
    return worst


def check(kind: str, head: str) -> None:
    try:
        model = tiny(kind, head)
        found = difference(model, head)
    except Exception as error:
        if kind in ENCODERS:
            raise
        pytest.skip(f"{type(error).__name__}: {str(error)[:80]}")
    mixes = found > 1e-3
    assert mixes == mixes_padding(model), found


@pytest.mark.parametrize(("kind", "head"), [pair for pair in PAIRS if pair[0] in QUICK])
def test_the_usual_families_mix_padding_as_stated(kind: str, head: str) -> None:
    check(kind, head)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "head"), [pair for pair in PAIRS if pair[0] not in QUICK])
def test_every_family_mixes_padding_as_stated(kind: str, head: str) -> None:
    check(kind, head)


def test_mobilebert_mixes_padding_if_the_padding_token_has_an_embedding() -> None:
    config = MobileBertConfig(**BERT, embedding_size=32, intra_bottleneck_size=32)
    model = MobileBertModel(config)
    assert not mixes_padding(model)
    model.embeddings.word_embeddings.weight.data[0] = 0.1
    assert mixes_padding(model)
