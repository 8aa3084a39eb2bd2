"""Documents into a training set and others: by a seed, with the labels in proportion, and no group in two of them."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from random import Random
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from nlp_inference.document import Document
from nlp_training.data.checks import named
from nlp_training.data.errors import InvalidDataError


def _check_group_by(group_by: str) -> str:
    field, _, key = group_by.partition(".")
    if group_by != "text" and (field != "metadata" or not key):
        raise InvalidDataError(f"cannot group by {group_by!r}; write text, or a key as in metadata.source")
    return group_by


Share = Annotated[float, Field(gt=0, lt=1)]
GroupBy = Annotated[str, AfterValidator(_check_group_by)]


class SplitSettings(BaseModel):
    """The splits that a run makes of its training documents; see `split_documents`.

    Args:
        validation: its share of all of them.
        test: its share of all of them.
        seed: of what is left to chance; not the seed of the run, so that runs with other seeds have the same splits.
        stratify: whether each split has its share of every label, as far as groups allow.
        group_by: `text`, or a key such as `metadata.patient`: documents with the same value stay in one split.

    Example:
        >>> settings = SplitSettings(validation=0.1, test=0.1)
        >>> {name: len(split) for name, split in settings.split([Document(raw_text="Ana")] * 50).items()}
        {'train': 40, 'validation': 5, 'test': 5}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    validation: Share | None = None
    test: Share | None = None
    seed: int = 42
    stratify: bool = True
    group_by: GroupBy | None = None

    @property
    def shares(self) -> dict[str, float]:
        """The share of each split that is made, by its name."""
        asked = {"validation": self.validation, "test": self.test}
        return {name: share for name, share in asked.items() if share is not None}

    @model_validator(mode="after")
    def _leaves_documents_to_train_on(self) -> Self:
        if not 0 < sum(self.shares.values()) < 1:
            raise ValueError(f"the shares are {self.shares!r}; give validation, test or both, together less than 1")
        return self

    def split(self, documents: Sequence[Document]) -> dict[str, list[Document]]:
        """The documents of `train` and of every split that is made.

        Raises:
            InvalidDataError: a document has no value for the key, or a split would be empty.
        """
        shares = {"train": 1 - sum(self.shares.values()), **self.shares}
        return split_documents(documents, shares, seed=self.seed, stratify=self.stratify, group_by=self.group_by)


@dataclass(frozen=True)
class _Group:
    """Documents that stay together, and how often they have each label."""

    documents: tuple[int, ...]
    labels: Counter[str]


def split_documents(
    documents: Sequence[Document],
    shares: Mapping[str, float],
    *,
    seed: int = 42,
    stratify: bool = True,
    group_by: str | None = None,
) -> dict[str, list[Document]]:
    """Split documents by the shares that are asked for; each document is in one split, and keeps its place there.

    With `stratify`, groups are given out label by label, the rarest first, each to the split that lacks the label
    most: iterative stratification, Sechidis, Tsoumakas and Vlahavas (2011),
    https://doi.org/10.1007/978-3-642-23808-6_10. A label is that of a span or of a category. The same documents in the
    same order, shares and seed give the same splits.

    Args:
        documents: at least one for each split.
        shares: of all documents, by the name of the split; together 1.
        seed: of what is left to chance.
        stratify: whether each split has its share of every label, as far as groups allow.
        group_by: `text`, or a key such as `metadata.patient`: documents with the same value stay in one split.

    Raises:
        InvalidDataError: the shares do not fit, a document has no value for the key, or a split would be empty.

    Example:
        >>> texts = [Document(raw_text=str(number), metadata={"page": number // 2}) for number in range(10)]
        >>> splits = split_documents(texts, {"train": 0.8, "test": 0.2}, group_by="metadata.page")
        >>> {name: [document.raw_text for document in split] for name, split in splits.items()}
        {'train': ['2', '3', '4', '5', '6', '7', '8', '9'], 'test': ['0', '1']}
    """
    _check_shares(shares)
    groups = _groups(documents, group_by)
    Random(seed).shuffle(groups)  # noqa: S311 - not for secrets
    given = _give_out(groups, shares, stratify=stratify)
    splits = {name: [documents[at] for at in sorted(given[name])] for name in shares}
    empty = [name for name, split in splits.items() if not split]
    if empty:
        raise InvalidDataError(
            f"the split {empty[0]!r} would be empty: {len(documents)} documents in {len(groups)} groups that stay "
            "together; give it a larger share, or group by another key"
        )
    return splits


def with_made_splits(splits: Mapping[str, list[Document]], settings: SplitSettings | None) -> dict[str, list[Document]]:
    """The splits, and those that are to be made of `train`, which keeps the rest.

    Raises:
        InvalidDataError: they cannot be made.

    Example:
        >>> splits = with_made_splits({"train": [Document(raw_text="Ana")] * 10}, SplitSettings(validation=0.2))
        >>> {name: len(documents) for name, documents in splits.items()}
        {'train': 8, 'validation': 2}
    """
    if settings is None:
        return dict(splits)
    made = {**splits, **settings.split(splits["train"])}
    first = [name for name in ("train", "validation") if name in made]
    return {name: made[name] for name in dict.fromkeys([*first, *made])}


def parse_shares(text: str) -> dict[str, float]:
    """The shares that a command names.

    Raises:
        InvalidDataError: they cannot be read, or are not together 1.

    Example:
        >>> parse_shares("train=0.8,validation=0.1,test=0.1")
        {'train': 0.8, 'validation': 0.1, 'test': 0.1}
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.strip().partition("=")
        try:
            shares[name] = float(share) if name not in shares else -1.0
        except ValueError as error:
            raise InvalidDataError(
                f"cannot read {part!r} in {text!r}; write train=0.8,validation=0.1,test=0.1"
            ) from error
    _check_shares(shares)
    return shares


def _check_shares(shares: Mapping[str, float]) -> None:
    fit = all(name and share > 0 for name, share in shares.items())
    if not fit or not isclose(sum(shares.values()), 1, abs_tol=1e-6):
        raise InvalidDataError(f"the shares are {dict(shares)!r}; give each split a name and a share, together 1")


def _groups(documents: Sequence[Document], group_by: str | None) -> list[_Group]:
    members: dict[object, list[int]] = defaultdict(list)
    for at, document in enumerate(documents):
        members[at if group_by is None else _key(document, group_by)].append(at)
    return [
        _Group(tuple(places), Counter(label for at in places for label in labels_of(documents[at])))
        for places in members.values()
    ]


def _key(document: Document, group_by: str) -> str:
    if group_by == "text":
        return document.raw_text
    _, _, key = _check_group_by(group_by).partition(".")
    value = document.metadata.get(key)
    if value is None:
        known = ", ".join(map(repr, document.metadata)) or "none"
        raise InvalidDataError(f"{named(document)} has no {group_by}; its metadata has {known}")
    return repr(value)


def labels_of(document: Document) -> list[str]:
    """The labels of its gold spans and categories, each as often as it is there."""
    gold = document.gold
    if gold is None:
        return []
    return [*(span.label for span in gold.spans), *(category.label for category in gold.categories)]


def _give_out(groups: Sequence[_Group], shares: Mapping[str, float], *, stratify: bool) -> dict[str, list[int]]:
    """The documents of each split: those of the rarest label that is left first, large groups before small ones."""
    total = sum(len(group.documents) for group in groups)
    counts: Counter[str] = Counter()
    for group in groups if stratify else ():
        counts.update(group.labels)
    lacking = {name: share * total for name, share in shares.items()}
    lacking_labels = {name: {label: share * count for label, count in counts.items()} for name, share in shares.items()}
    given: dict[str, list[int]] = {name: [] for name in shares}
    left = dict.fromkeys(range(len(groups)))

    def give(at: int, label: str | None) -> None:
        wanted = lacking_labels if label is not None else {}
        name = max(shares, key=lambda name: (wanted[name][label] if label is not None else 0, lacking[name]))
        given[name] += groups[at].documents
        lacking[name] -= len(groups[at].documents)
        for kind, count in groups[at].labels.items():
            if stratify:
                lacking_labels[name][kind] -= count
        del left[at]

    for label in sorted(counts, key=lambda label: (counts[label], label)):
        have = [at for at in left if label in groups[at].labels]
        for at in sorted(have, key=lambda at: -groups[at].labels[label]):
            give(at, label)
    for at in sorted(left, key=lambda at: -len(groups[at].documents)):
        give(at, None)
    return given
