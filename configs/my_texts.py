"""Custom transform whose source is saved with the model. configs/experiment.yaml names this file."""

import re
from collections.abc import Iterable

from nlp_inference import Transform
from nlp_inference.document.aligned_text import Edit


class DropCitations(Transform):
    """Remove citations such as [12]."""

    name = "drop_citations"
    version = 1

    def propose(self, text: str) -> Iterable[Edit]:
        """Return an edit for each citation."""
        return [Edit(match.start(), match.end(), "") for match in re.finditer(r"\[\d+\]", text)]
