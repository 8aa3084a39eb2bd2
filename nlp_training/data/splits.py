"""Splitting documents into sets: seeded, stratified by label, and without a group in two sets."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from random import Random
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from nlp_inference.document import Document
from nlp_inference.document.annotation import qualified
from nlp_training.data.checks import named
from nlp_training.data.errors import InvalidDataError


def _check_group_by(group_by: str) -> str:
    field, _, key = group_by.partition(".")
    if group_by != "text" and (field != "metadata" or not key):
        raise InvalidDataError(f"cannot group by {group_by!r}; use text, or a key such as metadata.source")
    return group_by


Share = Annotated[float, Field(gt=0, lt=1)]
GroupBy = Annotated[str, AfterValidator(_check_group_by)]


class SplitSettings(BaseModel):
    """The splits that a run splits off from its training documents; see `split_documents`.

    Args:
        validation: the share of the validation split.
        test: the share of the test split.
        seed: the seed of the split. It is not the seed of the run, so runs with different seeds have the same splits.
        stratify: whether each split has its share of every label, as far as groups allow.
        group_by: `text`, or a key such as `metadata.patient`: documents with the same value are in the same split.

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
        """The share of each new split, by its name."""
        shares = {"validation": self.validation, "test": self.test}
        return {name: share for name, share in shares.items() if share is not None}

    @model_validator(mode="after")
    def _leaves_documents_to_train_on(self) -> Self:
        if not 0 < sum(self.shares.values()) < 1:
            raise ValueError(f"the shares are {self.shares!r}; set validation, test or both, with a sum less than 1")
        return self

    def split(self, documents: Sequence[Document]) -> dict[str, list[Document]]:
        """Return the documents of `train` and of every new split.

        Raises:
            InvalidDataError: a document has no value for the key, or a split would be empty.
        """
        shares = {"train": 1 - sum(self.shares.values()), **self.shares}
        return split_documents(documents, shares, seed=self.seed, stratify=self.stratify, group_by=self.group_by)


@dataclass(frozen=True)
class _Group:
    """Documents that must be in the same split, and the counts of their labels."""

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
    """Split documents by shares. Each document is in one split, and each split keeps the order of the documents.

    With `stratify`, groups are assigned label by label, the rarest label first, each to the split that lacks the label
    most: iterative stratification, Sechidis, Tsoumakas and Vlahavas (2011),
    https://doi.org/10.1007/978-3-642-23808-6_10. Labels are those of spans and categories. The same documents in the
    same order, shares and seed give the same splits.

    Args:
        documents: at least one document per split.
        shares: the share of each split by its name; the sum is 1.
        seed: the seed of the split.
        stratify: whether each split has its share of every label, as far as groups allow.
        group_by: `text`, or a key such as `metadata.patient`: documents with the same value are in the same split.

    Raises:
        InvalidDataError: the shares are invalid, a document has no value for the key, or a split would be empty.

    Example:
        >>> texts = [Document(raw_text=str(number), metadata={"page": number // 2}) for number in range(10)]
        >>> splits = split_documents(texts, {"train": 0.8, "test": 0.2}, group_by="metadata.page")
        >>> {name: [document.raw_text for document in split] for name, split in splits.items()}
        {'train': ['2', '3', '4', '5', '6', '7', '8', '9'], 'test': ['0', '1']}
    """
    _check_shares(shares)
    groups = _groups(documents, group_by)
    Random(seed).shuffle(groups)  # noqa: S311 - not for secrets
    assigned = _assign(groups, shares, stratify=stratify)
    splits = {name: [documents[index] for index in sorted(assigned[name])] for name in shares}
    empty = [name for name, split in splits.items() if not split]
    if empty:
        raise InvalidDataError(
            f"the split {empty[0]!r} would be empty: there are {len(documents)} documents in {len(groups)} groups; "
            "increase its share, or group by another key"
        )
    return splits


def with_made_splits(splits: Mapping[str, list[Document]], settings: SplitSettings | None) -> dict[str, list[Document]]:
    """Return the splits and those that `settings` splits off from `train`.

    Raises:
        InvalidDataError: a split cannot be made.

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
    """Parse the shares in a command-line argument.

    Raises:
        InvalidDataError: the shares cannot be parsed, or their sum is not 1.

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
        raise InvalidDataError(f"the shares are {dict(shares)!r}; give each split a name and a share, with the sum 1")


def _groups(documents: Sequence[Document], group_by: str | None) -> list[_Group]:
    members: dict[object, list[int]] = defaultdict(list)
    for index, document in enumerate(documents):
        members[index if group_by is None else _key(document, group_by)].append(index)
    return [
        _Group(tuple(indices), Counter(label for index in indices for label in labels_of(documents[index])))
        for indices in members.values()
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
    """Return the labels of all gold spans and categories, with repetitions, and with the name of their head."""
    heads = {} if document.gold is None else document.gold.of_all_heads()
    return [
        qualified(head, label)
        for head, gold in heads.items()
        for label in (*(span.label for span in gold.spans), *(category.label for category in gold.categories))
    ]


def _assign(groups: Sequence[_Group], shares: Mapping[str, float], *, stratify: bool) -> dict[str, list[int]]:
    """Assign documents to splits, by the rarest remaining label first, and large groups before small ones."""
    total = sum(len(group.documents) for group in groups)
    counts: Counter[str] = Counter()
    for group in groups if stratify else ():
        counts.update(group.labels)
    lacking = {name: share * total for name, share in shares.items()}
    lacking_labels = {name: {label: share * count for label, count in counts.items()} for name, share in shares.items()}
    assigned: dict[str, list[int]] = {name: [] for name in shares}
    remaining = dict.fromkeys(range(len(groups)))

    def assign(index: int, label: str | None) -> None:
        wanted = lacking_labels if label is not None else {}
        name = max(shares, key=lambda name: (wanted[name][label] if label is not None else 0, lacking[name]))
        assigned[name] += groups[index].documents
        lacking[name] -= len(groups[index].documents)
        for kind, count in groups[index].labels.items():
            if stratify:
                lacking_labels[name][kind] -= count
        del remaining[index]

    for label in sorted(counts, key=lambda label: (counts[label], label)):
        with_label = [index for index in remaining if label in groups[index].labels]
        for index in sorted(with_label, key=lambda index: -groups[index].labels[label]):
            assign(index, label)
    for index in sorted(remaining, key=lambda index: -len(groups[index].documents)):
        assign(index, None)
    return assigned
