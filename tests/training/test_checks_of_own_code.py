"""What is built in keeps its laws; each planted bug breaks one, and the message says which."""

import random
import socket
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, BertPreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from nlp_inference import Annotation, Task
from nlp_inference.architectures import architecture
from nlp_inference.document.aligned_text import Edit
from nlp_inference.errors import CheckFailedError, InvalidSpecError
from nlp_training.augment import Augmentation, Rewrite
from nlp_training.losses import Loss
from nlp_training.metrics import Metric
from nlp_training.testing import check_architecture, check_augmentation, check_loss, check_metric

LOSSES = [
    "cross_entropy",
    {"cross_entropy": 0.1},
    {"focal": 2},
    "dice",
    "asymmetric",
    {"r_drop": 2},
    {"distillation": {"teacher": "t", "temperature": 2, "mix": 0.5}},
    {"supervised_contrastive": {"mix": 0.3}},
]
AUGMENTATIONS = [
    *("keyboard_typos", "ocr_errors", "change_case", "messy_whitespace", "drop_accents", "curly_punctuation"),
    *("drop_words", "swap_words", "replace_entities", "shuffle_sentences", "join_documents", "wrap_html"),
    "break_encoding",
]


@pytest.fixture(autouse=True)
def _no_bug_stays_registered() -> Any:
    kept = [(kind, dict(kind.members)) for kind in (Loss, Augmentation, Metric)]
    yield
    for kind, members in kept:
        kind.members.clear()
        kind.members.update(members)


@pytest.mark.parametrize("spec", LOSSES, ids=str)
def test_the_losses_keep_their_laws(spec: Any) -> None:
    check_loss(Loss.from_spec(spec))


@pytest.mark.parametrize("spec", AUGMENTATIONS)
def test_the_augmentations_keep_their_laws(spec: str) -> None:
    check_augmentation(Augmentation.from_spec(spec))


WEIGHING = {"weigh in `values` as in `weights`": "inverse"}


def plant(base: Any, **fields: Any) -> Any:
    """A class with a bug, where pickle finds it."""
    broken = type("Broken", (base,), {"name": "broken", "__module__": __name__, **fields})
    globals()["Broken"] = broken
    return broken


def entropy(items: Any) -> torch.Tensor:
    return nn.functional.cross_entropy(items.logits, items.targets, reduction="none")


BROKEN_LOSSES = {
    "take no mean yourself": lambda self, items: entropy(items).mean(),
    "its gradients are those of its values": lambda self, items: entropy(items) + items.logits.detach()[:, 0] ** 2,
    "its values do not depend on the model": lambda self, items: entropy(items).detach(),
    "by log_softmax": lambda self, items: -items.logits.softmax(-1)[range(len(items.targets)), items.targets].log(),
    "is a sign off": lambda self, items: -entropy(items),
    "draw nothing at random": lambda self, items: entropy(items) * torch.rand(()),
    "the order of the items does not matter": lambda self, items: entropy(items) * torch.arange(len(items.targets)),
    "reads 'states', which is missing": lambda self, items: entropy(items) + items.required("states").sum(),
    "it changes nothing in place": lambda self, items: entropy(items) + items.logits.detach().mul_(1.5).sum() * 0,
    "weigh in `values` as in `weights`": lambda self, items: (
        entropy(items) if items.class_weights is None else entropy(items) * (1 + items.class_weights[items.targets])
    ),
}


@pytest.mark.parametrize("said", BROKEN_LOSSES)
def test_a_loss_with_a_bug_is_caught(said: str) -> None:
    broken = plant(Loss, values=BROKEN_LOSSES[said], class_weighting=lambda self: WEIGHING.get(said))
    with pytest.raises(CheckFailedError, match="Broken breaks the law .*" + said.replace("(", r"\(")):
        check_loss(broken())


def test_a_loss_that_keeps_a_setting_to_itself_is_caught() -> None:
    def grow(self: Any, context: object) -> None:
        self.__dict__["gamma"] = self.gamma + 1

    fields = {"__annotations__": {"gamma": float}, "gamma": 1.0, "model_post_init": grow}
    broken = plant(Loss, values=lambda self, items: entropy(items), **fields)
    with pytest.raises(CheckFailedError, match="it survives JSON"):
        check_loss(broken())


def at_end(document: Any, text: str) -> list[Edit]:
    return [Edit(len(document.raw_text), len(document.raw_text), text)]


BROKEN_PROPOSALS = {
    "take every random number from `rng`": lambda self, document, *, rng, corpus: at_end(
        document,
        str(random.random()),  # noqa: S311
    ),
    "it fails on no document, and its edits fit": lambda self, document, *, rng, corpus: [Edit(0, 3, "x")],
    "it left all": lambda self, document, *, rng, corpus: [],
    "these are gone": lambda self, document, *, rng, corpus: Rewrite(
        [Edit(0, 0, "x ")], document.gold.model_copy(update={"spans": document.gold.spans[1:]})
    ),
    "covers": lambda self, document, *, rng, corpus: Rewrite(
        [Edit(0, 0, "  ")],
        document.gold.model_copy(
            update={"spans": tuple(one.model_copy(update={"start": 0}) for one in document.gold.spans[:1])}
        ),
    ),
    "the categories became": lambda self, document, *, rng, corpus: Rewrite([Edit(0, 0, "x")], Annotation()),
}


@pytest.mark.parametrize("said", BROKEN_PROPOSALS)
def test_an_augmentation_with_a_bug_is_caught(said: str) -> None:
    broken = plant(Augmentation, propose=BROKEN_PROPOSALS[said])
    with pytest.raises(CheckFailedError, match="Broken breaks the law .*" + said):
        check_augmentation(broken())


def test_an_augmentation_that_moves_the_text_but_not_the_gold_is_caught() -> None:
    def propose(self: Any, document: Any, *, rng: Any, corpus: Any) -> list[Edit]:
        return [Edit(0, 0, "Oh, ")]

    def apply(self: Any, document: Any, *, rng: Any, corpus: Any) -> Any:
        after, record = Augmentation.apply(self, document, rng=rng, corpus=corpus)
        return after.model_copy(update={"gold": document.gold}), record

    with pytest.raises(CheckFailedError, match=r"the gold moves along with the edits|has a blank edge"):
        check_augmentation(plant(Augmentation, propose=propose, apply=apply)())


class ExactSpans(Metric):
    """The share of documents whose spans are all right."""

    name = "exact_spans"

    def view(self, document: Any, gold: Any) -> tuple[Any, Any]:
        found, wanted = ({(one.start, one.end, one.label) for one in part.spans} for part in (document.predicted, gold))
        return sorted(found), sorted(wanted)

    def score(self, predictions: Any, references: Any) -> Any:
        return sum(one == other for one, other in zip(predictions, references, strict=True)) / len(references)


def test_a_sound_metric_keeps_its_laws() -> None:
    check_metric(ExactSpans())


def looks_up(*_: Any) -> float:
    with socket.socket() as one:
        one.connect(("127.0.0.1", 9))
    return 0.0


def share(predictions: Any, references: Any) -> float:
    right = sum(
        len({*map(tuple, one)} & {*map(tuple, other)}) for one, other in zip(predictions, references, strict=True)
    )
    return right / sum(map(len, references))


BROKEN_SCORES = {
    "it needs no network": looks_up,
    "ZeroDivisionError": share,
    r"write float\(": lambda predictions, references: len(predictions),
    "say what nothing to count means": lambda predictions, references: float("nan"),
    "in any order": lambda predictions, references: float(len(predictions[0])),
    "set greater_is_better, or return the negative": lambda predictions, references: (
        sum(one != other for one, other in zip(predictions, references, strict=True)) / len(references)
    ),
    "`score` changed": lambda predictions, references: float(predictions[0].clear() or 0),
    "use None for what is not there": lambda predictions, references: {"recall": float("inf")},
}


@pytest.mark.parametrize("said", BROKEN_SCORES)
def test_a_metric_with_a_bug_is_caught(said: str) -> None:
    scored = BROKEN_SCORES[said]
    broken = plant(ExactSpans, score=lambda self, *seen: scored(*seen))
    with pytest.raises(CheckFailedError, match="Broken breaks the law .*" + said):
        check_metric(broken())


def test_a_metric_that_asks_the_document_for_its_gold_is_caught() -> None:
    peeks = plant(ExactSpans, view=lambda self, document, gold: (list(document.gold.spans), []))
    with pytest.raises(
        CheckFailedError, match=r"it fails on no document, which has no gold of its own.*AttributeError"
    ):
        check_metric(peeks())


@architecture
class CheckedTagger(BertPreTrainedModel):
    """A tagger whose states pass a gate."""

    bug = ""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=self.bug == "pooler")
        self.gate = nn.Linear(config.hidden_size, config.hidden_size)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(
        self, input_ids: Any = None, attention_mask: Any = None, token_type_ids: Any = None, labels: Any = None
    ) -> Any:
        mask = None if self.bug == "padding" else attention_mask
        states = self.bert(input_ids, attention_mask=mask, token_type_ids=token_type_ids).last_hidden_state
        if self.bug == "neighbours":
            states = states - states.mean(dim=0, keepdim=True)
        if self.bug == "dropout":
            states = nn.functional.dropout(states, 0.1, training=True)
        logits = self.classifier(states * self.gate(states).sigmoid())
        if self.bug == "pooled":
            logits = logits[:, 0]
        ignored = 1 if self.bug == "ignored" else -100
        safe = labels.clamp(min=0) if self.bug == "ignored" and labels is not None else labels
        loss = None
        if labels is not None and self.bug != "no loss":
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), safe.flatten(), ignore_index=ignored)
        return TokenClassifierOutput(loss=loss, logits=None if self.bug == "no logits" else logits)


def small() -> BertConfig:
    return BertConfig(
        vocab_size=50,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    )


TAGGING = Task.from_spec({"token-classification": {"labels": ["CITY", "PERSON"]}})


def test_a_sound_model_class_keeps_its_laws() -> None:
    check_architecture(CheckedTagger, config=small(), task=TAGGING)


@pytest.mark.parametrize(
    ("bug", "said"),
    [
        ("padding", "a row does not depend on padding"),
        ("neighbours", "a row does not depend on other rows"),
        ("dropout", r"is there dropout in eval\(\)"),
        ("pooled", r"logits \[1, 5\], expected \[1, 5, 5\]|logits \[1, 5\]"),
        ("ignored", "targets that are ignored do not count"),
        ("no loss", "with `labels`, loss is None"),
        ("no logits", "its output has no 'logits'"),
        ("pooler", "'bert.pooler.dense.weight' has no gradient"),
    ],
)
def test_a_model_class_with_a_bug_is_caught(bug: str, said: str) -> None:
    broken = architecture(type("BrokenTagger", (CheckedTagger,), {"bug": bug, "__module__": __name__}))
    with pytest.raises(CheckFailedError, match="BrokenTagger breaks the law .*" + said):
        check_architecture(broken, config=small(), task=TAGGING)


def test_a_model_class_without_a_name_or_an_encoder_is_caught() -> None:
    class Nameless(CheckedTagger):
        pass

    with pytest.raises(CheckFailedError, match="put @architecture before the class"):
        check_architecture(Nameless, config=small(), task=TAGGING)
    with pytest.raises(InvalidSpecError, match="transformers already has a class 'BertModel'"):
        architecture(type("BertModel", (CheckedTagger,), {}))
    with pytest.raises(InvalidSpecError, match=r"is not a subclass of transformers\.PreTrainedModel"):
        architecture(nn.Linear)
    headless = architecture(
        type("Headless", (CheckedTagger,), {"base_model_prefix": "encoder", "__module__": __name__})
    )
    with pytest.raises(CheckFailedError, match="base_model_prefix is 'encoder', which names no encoder"):
        check_architecture(headless, config=small(), task=TAGGING)
