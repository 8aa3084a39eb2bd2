"""Repair of text that was decoded with the wrong encoding."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from nlp_inference.document.aligned_text import Edit
from nlp_inference.document.mojibake import split_repair
from nlp_inference.transforms.base import Transform
from nlp_inference.transforms.diff import diff_edits

if TYPE_CHECKING:
    from ftfy import TextFixerConfig


class FixEncoding(Transform):
    """Repair mojibake (`cafÃ©` becomes `café`) with ftfy, without changing quotes, line ends or Unicode forms.

    C1 control characters are read as Windows-1252, as in HTML5. Each line is repaired separately, as in ftfy. There is
    one edit for each repaired character, for lines of any length.

    Args:
        restore_byte_a0: treat a space as the original no-break space if that makes the rest decodable.
        replace_lossy_sequences: repair around lost bytes (`�`, `?`), which become `�`.
        decode_inconsistent_utf8: repair UTF-8 sequences inside a text that is not entirely mojibake.

    Source: https://ftfy.readthedocs.io/en/latest/config.html

    Example:
        >>> from nlp_inference.document import Document
        >>> document = FixEncoding()(Document(raw_text="cafÃ© noir"))
        >>> document.text, document.aligned.to_raw(0, 4)
        ('café noir', (0, 5))
    """

    name = "fix_encoding"
    version = 2
    rewrites_only = True

    restore_byte_a0: bool = True
    replace_lossy_sequences: bool = True
    decode_inconsistent_utf8: bool = True

    def propose(self, text: str) -> Iterable[Edit]:
        """Return the edits of the lines that ftfy changes."""
        return () if text.isascii() else self._repair(text)

    def _repair(self, text: str) -> Iterator[Edit]:
        import ftfy

        config = self._config()
        start = 0
        for line in text.split("\n"):
            if not line.isascii():
                fixed = ftfy.fix_text_segment(line, config)
                for edit in _repairs(line, fixed) if fixed != line else ():
                    yield Edit(start + edit.start, start + edit.end, edit.replacement)
            start += len(line) + 1

    def _config(self) -> "TextFixerConfig":
        from ftfy import TextFixerConfig

        return TextFixerConfig(
            unescape_html=False,
            remove_terminal_escapes=False,
            fix_encoding=True,
            restore_byte_a0=self.restore_byte_a0,
            replace_lossy_sequences=self.replace_lossy_sequences,
            decode_inconsistent_utf8=self.decode_inconsistent_utf8,
            fix_c1_controls=True,
            fix_latin_ligatures=False,
            fix_character_width=False,
            uncurl_quotes=False,
            fix_line_breaks=False,
            fix_surrogates=False,
            remove_control_chars=False,
            normalization=None,
            explain=False,
        )


def _repairs(line: str, fixed: str) -> Iterable[Edit]:
    """Return one edit per repaired character if its wrong form is known, otherwise the edits of a diff."""
    by_character = split_repair(line, 0, len(line), fixed)
    return diff_edits(line, fixed) if by_character is None else by_character
