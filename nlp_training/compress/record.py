"""The record of a compression, `compress.json`, and what the card of the chosen model says about it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_training.artefact.save import write_json

if TYPE_CHECKING:
    from nlp_training.compress.run import Compression

RECORD_FILE = "compress.json"


def record_of(found: "Compression") -> dict[str, Any]:
    """Return everything that was planned, scored, measured and chosen, without texts."""
    choice = found.choice
    return {
        "source": found.source,
        "max_drop": found.options.max_drop,
        "documents": found.documents,
        "agreement": found.is_agreement,
        "notes": found.notes,
        "chosen": choice.candidate.name if choice is not None and choice.candidate is not None else None,
        "reason": choice.reason if choice is not None else "",
        "candidates": [one.model_dump(mode="json", exclude={"folder"}) for one in found.candidates],
    }


def write_record(found: "Compression", folder: Path) -> None:
    """Write the record into the folder of a compression."""
    write_json(folder / RECORD_FILE, record_of(found))


def add_to_card(found: "Compression", folder: Path) -> None:
    """Add a section on the compression to the model card of the chosen artefact."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    card.unlink(missing_ok=True)  # it may be a link to that of the student
    card.write_text(f"{text.rstrip()}\n\n{_section(found)}\n", encoding="utf-8")


def _section(found: "Compression") -> str:
    one = found.choice.candidate if found.choice is not None else None
    if one is None or one.validation is None or one.measured is None:
        return ""
    layers = ", ".join(f"{count} layers of `{name}`" for name, count in one.layers.items())
    width = f", feed-forward width {one.width}" if one.width else ""
    score = "agreement with the teacher" if found.is_agreement else one.validation.name
    lines = [
        "## Compression",
        "",
        f"Compressed from `{found.source}` by `nlp-training compress`: {layers}{width}, {one.precision}.",
        f"The {score} on validation documents is {one.validation.value:.4f}.",
        f"That of the uncompressed model in float32 is {one.validation.teacher:.4f}.",
        f"{one.measured.documents_per_second:,.0f} documents a second on the machine of the compression.",
    ]
    return "\n".join(lines)
