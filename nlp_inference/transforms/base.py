"""Base classes of transforms. A transform proposes edits; the base class applies them and records the alignment."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

from nlp_inference.document import Annotation, Document
from nlp_inference.document.aligned_text import AlignedText, Edit, Range
from nlp_inference.document.deletions import find_lost, keeps_content
from nlp_inference.registry import Registered
from nlp_inference.transforms.diff import diff_edits


class Transform(Registered, ABC):
    """A change to the text before the model reads it.

    Subclasses are pydantic models whose fields are the settings that are saved with the processor. They implement
    `propose`, and need no offset arithmetic.

    Example:
        >>> class Shout(Transform):
        ...     name = "shout"
        ...     def propose(self, text: str) -> str:
        ...         return text + "!"
        >>> Shout()(Document(raw_text="Hi")).text
        'Hi!'
    """

    kind = "transform"
    version: ClassVar[int] = 1
    """Increase it whenever the same settings change a text differently than before."""

    rewrites_only: ClassVar[bool] = False
    """Whether the transform only replaces letters and digits by equivalents, as lowercasing does. None of its changes
    is then reported as deleted."""

    @abstractmethod
    def propose(self, text: str) -> Iterable[Edit] | str:
        """Return edits of `text`, in order and without overlap, or the new text, whose edits a diff derives."""

    def find_deleted(self, text: str, edits: Sequence[Edit]) -> Iterable[Range]:
        """Return the ranges of `text` with content (letters or digits) that the model cannot see after `edits`.

        They are reported in `Coverage.deleted`, and masked by `redact`. This method is called only for predictions, and
        only if the edits removed a letter or a digit. The default is `find_lost` of
        `nlp_inference.document.deletions`; override it if the transform has exact information.

        Args:
            text: the text before the transform.
            edits: the edits of this transform.
        """
        return find_lost(text, edits)

    def apply(self, aligned: AlignedText) -> AlignedText:
        """Apply the transform to `aligned` and record the edits.

        Raises:
            InvalidEditError: the proposed edits are out of order, overlap, or extend beyond the text.
            TooLargeError: the text would become too long; see `nlp_inference.document.limits`.
        """
        proposal = self.propose(aligned.current)
        if isinstance(proposal, str):
            aligned.check_length(self.name, len(proposal))
            proposal = diff_edits(aligned.current, proposal)
        find_deleted = keeps_content if self.rewrites_only else self.find_deleted
        return aligned.edit(self.name, self.version, proposal, find_deleted=find_deleted)

    def __call__(self, document: Document) -> Document:
        """Change the text of `document`, and its text pair if there is one."""
        return self.apply_all((self,), document)

    @classmethod
    def apply_all(cls, steps: Sequence[Self], document: Document) -> Document:
        """Apply each step to the text of `document`, and to its text pair if there is one."""
        aligned = document.aligned
        for step in steps:
            aligned = step.apply(aligned)
        if document.raw_text_pair is None:
            return document if aligned is document.aligned else document.with_aligned(aligned)
        aligned_pair = document.aligned_pair
        for step in steps:
            aligned_pair = step.apply(aligned_pair)
        if aligned is document.aligned and aligned_pair is document.aligned_pair:
            return document
        return document.with_aligned(aligned, aligned_pair)


class PostTransform(Registered, ABC):
    """A change to the prediction of the model, in raw coordinates."""

    kind = "post-transform"
    version: ClassVar[int] = 1
    """Increase it whenever the same settings change a prediction differently than before."""

    @abstractmethod
    def revise(self, annotation: Annotation, document: Document) -> Annotation:
        """Return the revised prediction `annotation` of `document`; the same object if nothing changes."""

    def __call__(self, document: Document) -> Document:
        """Change the prediction of `document`, if it has one, and that of each of its heads."""
        if (predicted := document.predicted) is None:
            return document
        revised = self.revise(predicted, document)
        if predicted.heads:
            heads = {name: self.revise(one, document) for name, one in predicted.heads.items()}
            revised = revised.model_copy(update={"heads": heads})
        if revised is predicted:
            return document
        return document.with_predicted(revised, coverage=document.coverage)

    @classmethod
    def apply_all(cls, steps: Sequence[Self], document: Document) -> Document:
        """Apply each step to the prediction of `document`, if it has one."""
        for step in steps:
            document = step(document)
        return document
