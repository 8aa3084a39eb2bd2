"""Units of offsets: most tools count UTF-16 code units like Java and JavaScript, some count characters."""

from itertools import accumulate

from nlp_inference.errors import InvalidDocumentError


class Utf16:
    """Conversion between characters and UTF-16 code units of a text.

    Example:
        >>> units = Utf16("a😀b")
        >>> [units.of(position) for position in (0, 1, 2, 3)], units.to_characters(3)
        ([0, 1, 3, 4], 2)
    """

    def __init__(self, text: str) -> None:
        """Count the units of `text`."""
        self._starts = [0, *accumulate(1 + (character > "\uffff") for character in text)]
        self._characters = {unit: position for position, unit in enumerate(self._starts)}

    def of(self, position: int) -> int:
        """Return the number of code units before the character at `position`."""
        return self._starts[position]

    def to_characters(self, unit: int) -> int:
        """Return the number of characters before the code unit `unit`.

        Raises:
            InvalidDocumentError: the offset is inside a character or outside the text.
        """
        if unit not in self._characters:
            raise InvalidDocumentError(
                f"the offset {unit} is inside a character or outside the text of {self._starts[-1]} UTF-16 code units"
            )
        return self._characters[unit]


class Characters:
    """Offsets in characters, as in a Document.

    Example:
        >>> Characters("a😀b").to_characters(2)
        2
    """

    def __init__(self, text: str) -> None:
        """Count the characters of `text`."""
        self._length = len(text)

    def of(self, position: int) -> int:
        """Return the position itself."""
        return position

    def to_characters(self, unit: int) -> int:
        """Return the offset itself.

        Raises:
            InvalidDocumentError: the offset is outside the text.
        """
        if not 0 <= unit <= self._length:
            raise InvalidDocumentError(f"the offset {unit} is outside the text of {self._length} characters")
        return unit
