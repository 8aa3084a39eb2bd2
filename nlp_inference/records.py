"""Lines of text and JSON Lines to items for the Predictor, and results to JSON Lines."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from nlp_inference.document import Document
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.predictor import FailedDocument, Item


def read_items(lines: Iterable[str], *, name: str) -> Iterator[Item]:
    """Read one item a line: a JSON object with `raw_text` or `text`, or else the line itself is the text.

    Empty lines are skipped.

    Args:
        lines: with or without their line feed.
        name: of the source, for messages.

    Raises:
        InvalidDocumentError: a line that begins as a JSON object is none, or holds no text; names the line.

    Example:
        >>> list(read_items(['Ana lives in Rome', '{"id": "7", "text": "Hi"}'], name="in"))
        ['Ana lives in Rome', {'id': '7', 'raw_text': 'Hi'}]
    """
    for number, line in enumerate(lines, 1):
        content = line.rstrip("\n")
        if content.startswith("{"):
            yield _document_fields(content, f"{name}:{number}")
        elif content:
            yield content


def _document_fields(content: str, place: str) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except json.JSONDecodeError as error:
        raise InvalidDocumentError(f"{place}: not valid JSON: {error}; a line that begins with '{{' must be") from error
    if "raw_text" not in fields and "text" in fields:
        fields["raw_text"] = fields.pop("text")
    if "raw_text" not in fields:
        raise InvalidDocumentError(f"{place}: no 'text' among the keys {sorted(fields)!r}")
    known = {key: value for key, value in fields.items() if key in Document.model_fields}
    return known if "id" not in known else {**known, "id": str(known["id"])}


def to_json_line(result: Document | FailedDocument) -> str:
    """One line of JSON without a line feed; what is empty or not known is left out.

    Example:
        >>> to_json_line(Document(id="7", raw_text="Hi"))
        '{"raw_text":"Hi","id":"7"}'
    """
    return result.model_dump_json(exclude_defaults=True)
