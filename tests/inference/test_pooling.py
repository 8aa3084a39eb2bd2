"""Pooling of texts: what each pooling reads, in every family, saved and exported."""

import copy
import pickle
from itertools import product

import pytest
import torch
from transformers import AutoConfig

from nlp_inference.architectures import AutoModelForMultiTask, AutoModelForPooledSequenceClassification
from nlp_inference.architectures.pooling import POOLINGS, AttentionPooling, make_pooling
from nlp_inference.errors import ArtefactError

FAMILIES = ("bert", "roberta", "distilbert", "deberta-v2", "modernbert", "electra", "albert", "mpnet", "xlm-roberta")
SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "pad_token_id": 1,
}
INPUTS = {"input_ids": torch.tensor([[5, 6, 7, 8, 1, 1]]), "attention_mask": torch.tensor([[1, 1, 1, 1, 0, 0]])}
UNPADDED = {name: tensor[:, :4] for name, tensor in INPUTS.items()}


def tiny(family, pooling):
    """A model of a family with random weights, also those of the pooling."""
    sizes = SIZES if family != "distilbert" else {**SIZES, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32}
    more = {"embedding_size": 16} if family in ("electra", "albert") else {}
    config = AutoConfig.for_model(family, **sizes, **more, num_labels=3, text_pooling=pooling)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForPooledSequenceClassification.from_config(config).eval()
        if pooling == "attention":
            torch.nn.init.normal_(model.pooling.score.weight)
    return model


def pooled_by_hand(states, pooling, weights):
    """`states` are `[tokens, hidden]`, none of them padding."""
    return {
        "first": lambda: states[0],
        "mean": lambda: states.mean(dim=0),
        "max": lambda: states.max(dim=0).values,
        "attention": lambda: (states @ weights).softmax(dim=0) @ states,
    }[pooling]()


@pytest.mark.parametrize("pooling", [*POOLINGS])
def test_a_pooling_reads_the_tokens_that_are_not_padding(pooling):
    module = make_pooling(pooling, hidden_size=8)
    states = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(8, generator=torch.Generator().manual_seed(1))
    if isinstance(module, AttentionPooling):
        module.score.weight.data = weights[None]
    expected = pooled_by_hand(states[0, :4], pooling, weights)
    torch.testing.assert_close(module(states, INPUTS["attention_mask"])[0], expected)
    torch.testing.assert_close(module(states[:, :4], None)[0], expected)


@pytest.mark.parametrize(("family", "pooling"), [*product(FAMILIES, POOLINGS)])
@torch.no_grad
def test_in_every_family_the_head_reads_the_pooled_states(family, pooling, tmp_path):
    model = tiny(family, pooling)
    padded, alone = model(**INPUTS).logits, model(**UNPADDED).logits
    assert padded.shape == (1, 3)
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=1e-4)
    if family == "bert":
        states = model.bert.forward(**UNPADDED).last_hidden_state[0]
        weights = None if pooling != "attention" else model.pooling.score.weight[0]
        torch.testing.assert_close(alone[0], model.classifier(pooled_by_hand(states, pooling, weights)))
    model.save_pretrained(tmp_path)
    loaded = AutoModelForPooledSequenceClassification.from_pretrained(tmp_path, dtype="float32").eval()
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301 - made above
        assert torch.equal(other(**INPUTS).logits, padded)


@torch.no_grad
def test_a_model_without_the_setting_averages_all_tokens():
    model, plain = tiny("bert", "mean"), tiny("bert", None)
    assert torch.equal(model(**INPUTS).logits, plain(**INPUTS).logits)
    assert model.state_dict().keys() == plain.state_dict().keys()


@torch.no_grad
@pytest.mark.parametrize("pooling", [*POOLINGS])
def test_the_text_heads_of_a_shared_encoder_pool_alike(pooling):
    heads = {"topic": {"kind": "text", "labels": ["a", "b"]}, "slots": {"kind": "token", "labels": ["O", "B"]}}
    config = AutoConfig.for_model("bert", **SIZES, task_heads=heads, text_pooling=pooling)
    model = AutoModelForMultiTask.from_config(config).eval()
    states = model.bert(**UNPADDED).last_hidden_state[0]
    pooled = pooled_by_hand(states, pooling, torch.zeros(16))  # learned weights start equal
    found = model(**INPUTS)
    torch.testing.assert_close(found["topic_logits"][0], model.head("topic").classifier(pooled), atol=1e-5, rtol=1e-4)
    assert found["slots_logits"].shape == (1, 6, 2)


def test_an_unknown_pooling_in_a_config_names_the_known_ones():
    with pytest.raises(ArtefactError, match="text_pooling 'median'; expected first, mean, max, attention"):
        tiny("bert", "median")
