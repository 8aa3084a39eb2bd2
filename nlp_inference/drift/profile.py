"""Profile of the inputs and predictions of a predictor, as counts of documents without any text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError, model_validator

from nlp_inference._utils.saved_files import read_saved_file
from nlp_inference.errors import ArtefactError
from nlp_inference.registry import explain

PROFILE_FILE = "profile.json"
"""The file in an artefact that contains the profile of its training documents."""

Counts = dict[str, NonNegativeInt]


class Profile(BaseModel):
    """Counts of documents by properties of their texts and predictions. Profiles of different documents can be added.

    The profile counts documents, because documents are independent samples; the characters and tokens of one document
    are not.

    Args:
        documents: number of documents.
        characters: documents by their raw characters, in bins by powers of two, including text pairs.
        tokens: documents by their tokens after preprocessing, in the same bins.
        unknown_tokens: documents by the share of unknown tokens.
        character_classes: for each character class, documents by the share of the class in their raw characters.
        changed: for each transform, the number of documents that it changed.
        truncated: number of truncated documents.
        span_rate: documents by predicted spans per 1,000 raw characters.
        labels: for each label, the number of documents with a predicted span of this label.
        categories: for each label, the number of documents whose first predicted category it is.
        generated: documents by the characters of their generated text, in bins by powers of two.
        relations: for each label, the number of documents with a predicted relation of this label.
        values: for each predicted value, the number of documents by the bin of their number; see `Task.value_bin`.
        head_categories: for each head of a multi-task model, what `categories` is without heads.

    Raises:
        pydantic.ValidationError: a count exceeds the number of documents.

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
    generated: Counts = {}
    relations: Counts = {}
    values: dict[str, Counts] = {}
    head_categories: dict[str, Counts] = {}

    @model_validator(mode="after")
    def _counts_the_same_documents(self) -> Self:
        named = [*self.changed.values(), *self.labels.values(), *self.relations.values()]
        most = max([self.truncated, *named, *map(_total, self._histograms())])
        if most > self.documents:
            raise ValueError(f"a count is {most}, but there are {self.documents} documents")
        return self

    def _histograms(self) -> list[Counts]:
        alone = [self.characters, self.tokens, self.unknown_tokens, self.span_rate, self.categories, self.generated]
        return [*alone, *self.character_classes.values(), *self.values.values(), *self.head_categories.values()]

    def __add__(self, other: "Profile") -> "Profile":
        """Return the profile of the documents of both profiles."""
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
            generated=_sum(self.generated, other.generated),
            relations=_sum(self.relations, other.relations),
            values=_sums(self.values, other.values),
            head_categories=_sums(self.head_categories, other.head_categories),
        )

    def distributions(self) -> dict[str, Counts]:
        """Return the bins of each feature, by its display name; every document is in one bin of each feature."""
        documents = self.documents
        counted = {"truncated": self.truncated}
        counted |= {f"changed by {name}": count for name, count in self.changed.items()}
        counted |= {f"label {name}": count for name, count in self.labels.items()}
        counted |= {f"relation {name}": count for name, count in self.relations.items()}
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
            **({"generated characters": self.generated} if self.generated else {}),
            "category": {**self.categories, "(none)": documents - _total(self.categories)},
            **{
                f"category {head}": {**counts, "(none)": documents - _total(counts)}
                for head, counts in self.head_categories.items()
            },
        }

    def save(self, path: str | Path) -> None:
        """Write the profile as JSON, for `load_profile` and `nlp-inference drift --profile`."""
        Path(path).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_profile(path: str | Path) -> Profile:
    """Read a file of `Profile.save`.

    Raises:
        ArtefactError: the file does not exist, or contains no valid profile.
    """
    try:
        content = read_saved_file(Path(path))
    except FileNotFoundError as error:
        raise ArtefactError(f"cannot read the profile {str(path)!r}: {error.strerror}") from error
    try:
        return Profile.model_validate_json(content)
    except ValidationError as error:
        raise ArtefactError(
            f"{str(path)!r} is not a profile of this version of nlp-inference: {explain(error, Profile)}"
        ) from error


def _total(counts: Mapping[str, int]) -> int:
    return sum(counts.values())


def _sum(one: Counts, other: Counts) -> Counts:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _sums(one: Mapping[str, Counts], other: Mapping[str, Counts]) -> dict[str, Counts]:
    return {name: _sum(one.get(name, {}), other.get(name, {})) for name in {**one, **other}}
