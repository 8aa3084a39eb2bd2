"""A profile: what a predictor was given and what it answered, as counts of documents. No text is in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError, model_validator

from nlp_inference._utils.saved_files import read_saved_file
from nlp_inference.errors import ArtefactError
from nlp_inference.registry import explain

PROFILE_FILE = "profile.json"
"""Where an artefact keeps the profile of its training documents."""

Counts = dict[str, NonNegativeInt]


class Profile(BaseModel):
    """Counts of documents, by what was given and what was predicted. Profiles of different documents can be added.

    What is binned is a property of each document, so that documents, which are drawn independently of one another, are
    what is counted; characters and tokens of one document are not independent.

    Args:
        documents: how many.
        characters: documents by their raw characters, in bins by powers of two; both texts of a pair together.
        tokens: documents by their tokens after preprocessing, in the same bins.
        unknown_tokens: documents by the share of their tokens that the vocabulary does not know.
        character_classes: for each class of characters, documents by the class's share of their raw characters.
        changed: for each transform, how many documents it changed.
        truncated: documents that were not read to the end.
        span_rate: documents by predicted spans per 1,000 raw characters.
        labels: for each label, how many documents have a predicted span of it.
        categories: for each label, how many documents have it as their first predicted category.
        values: for each predicted value, documents by the bin of their number; see `Task.value_bin`.

    Raises:
        pydantic.ValidationError: the counts are not those of the same documents.

    Example:
        >>> one = Profile(documents=2, changed={"strip_html": 1})
        >>> (one + Profile(documents=1, changed={"strip_html": 1})).changed
        {'strip_html': 2}
        >>> Profile.model_validate_json(one.model_dump_json()) == one
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    documents: NonNegativeInt = 0
    characters: Counts = {}
    tokens: Counts = {}
    unknown_tokens: Counts = {}
    character_classes: dict[str, Counts] = {}
    changed: Counts = {}
    truncated: NonNegativeInt = 0
    span_rate: Counts = {}
    labels: Counts = {}
    categories: Counts = {}
    values: dict[str, Counts] = {}

    @model_validator(mode="after")
    def _counts_the_same_documents(self) -> Self:
        most = max([self.truncated, *self.changed.values(), *self.labels.values(), *map(_total, self._histograms())])
        if most > self.documents:
            raise ValueError(f"{most} documents are counted in one place, but there are {self.documents}")
        return self

    def _histograms(self) -> list[Counts]:
        alone = [self.characters, self.tokens, self.unknown_tokens, self.span_rate, self.categories]
        return [*alone, *self.character_classes.values(), *self.values.values()]

    def __add__(self, other: "Profile") -> "Profile":
        """The profile of the documents of both."""
        return Profile(
            documents=self.documents + other.documents,
            characters=_sum(self.characters, other.characters),
            tokens=_sum(self.tokens, other.tokens),
            unknown_tokens=_sum(self.unknown_tokens, other.unknown_tokens),
            character_classes=_sums(self.character_classes, other.character_classes),
            changed=_sum(self.changed, other.changed),
            truncated=self.truncated + other.truncated,
            span_rate=_sum(self.span_rate, other.span_rate),
            labels=_sum(self.labels, other.labels),
            categories=_sum(self.categories, other.categories),
            values=_sums(self.values, other.values),
        )

    def distributions(self) -> dict[str, Counts]:
        """Each feature by a name for people, as documents in bins that every document is in one of."""
        documents = self.documents
        counted = {"truncated": self.truncated}
        counted |= {f"changed by {name}": count for name, count in self.changed.items()}
        counted |= {f"label {name}": count for name, count in self.labels.items()}
        return {
            "characters": self.characters,
            "tokens": self.tokens,
            "unknown tokens": self.unknown_tokens,
            **{f"characters: {name}": counts for name, counts in self.character_classes.items()},
            "spans per 1,000 characters": self.span_rate,
            **{name: {"yes": count, "no": documents - count} for name, count in counted.items()},
            **{
                f"value {name}": {**counts, "(none)": documents - _total(counts)}
                for name, counts in self.values.items()
            },
            "category": {**self.categories, "(none)": documents - _total(self.categories)},
        }

    def save(self, path: str | Path) -> None:
        """Write it as JSON, for `load_profile` and `nlp-inference drift --profile`."""
        Path(path).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_profile(path: str | Path) -> Profile:
    """Read what `Profile.save` wrote.

    Raises:
        ArtefactError: there is no such file, or it holds no profile.
    """
    try:
        content = read_saved_file(Path(path))
    except FileNotFoundError as error:
        raise ArtefactError(f"cannot read the profile {str(path)!r}: {error.strerror}") from error
    try:
        return Profile.model_validate_json(content)
    except ValidationError as error:
        raise ArtefactError(
            f"{str(path)!r} is no profile of this version of nlp-inference: {explain(error, Profile)}"
        ) from error


def _total(counts: Mapping[str, int]) -> int:
    return sum(counts.values())


def _sum(one: Counts, other: Counts) -> Counts:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _sums(one: Mapping[str, Counts], other: Mapping[str, Counts]) -> dict[str, Counts]:
    return {name: _sum(one.get(name, {}), other.get(name, {})) for name in {**one, **other}}
