"""Limits on what others write: normalizers of tokenizers, and control sequences in labels and names."""

import copy
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from rich.text import Text
from tokenizer_kinds import KINDS, make_tokenizer
from tokenizers import Regex, normalizers

from nlp_inference import Processor
from nlp_inference._utils.terminal import Console
from nlp_inference.encoding.tokenizer_growth import check_growth, growth
from nlp_inference.errors import ArtefactError

ROOT = Path(__file__).parents[2]
TASK = {"text-classification": {"labels": ["ham", "spam"]}}


@pytest.mark.parametrize("kind", KINDS)
def test_tokenizers_in_use_pass(kind: str) -> None:
    check_growth(make_tokenizer(kind))


def normalizer(*steps: Any) -> Any:
    tokenizer = copy.deepcopy(make_tokenizer("bert cased"))
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(list(steps))
    return tokenizer


HOSTILE = {
    "doubling": [normalizers.Replace("a", "aa")] * 12,
    "one letter after the other": [normalizers.Replace(one, 4 * other) for one, other in pairwise("abcdefg")],
    "in another case": [normalizers.Replace("a", "AAAA"), normalizers.Lowercase()] * 6,
    "longer than what was written": [normalizers.Replace("aaa", 12 * "a"), normalizers.Replace("aa", 8 * "a")] * 5,
    "a pattern": [normalizers.Replace(Regex("."), "....")] * 6,
    "between characters": [normalizers.Replace(Regex("x*"), "-")] * 12,
    "a long text": [normalizers.Replace("a", 5000 * "b")],
    "nested": [normalizers.Sequence([normalizers.Sequence([normalizers.Replace("a", "aaa")] * 7)])],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_normalizer_that_fills_the_memory_is_refused(name: str) -> None:
    with pytest.raises(ArtefactError, match=r"replaces one character by up to .* 'Replace' from its tokenizer"):
        Processor(normalizer(*HOSTILE[name]), TASK)


def test_replacements_that_do_not_meet_each_other_do_not_multiply() -> None:
    Processor(normalizer(*(normalizers.Replace(f"{one}", f"<{one}-token>") for one in "0123456789")), TASK)
    assert growth([]) == 1.0
    Processor(normalizer(*[normalizers.Replace(Regex(" {2,}"), " ")] * 20), TASK)


def test_control_sequences_of_others_do_not_reach_the_terminal() -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=60, color_system="standard")
    table = Table("name\x1b]0;title\x07")
    table.add_row("\x1b[2Jevil\x9b2J", style="bold")
    console.print(table, Text("\x1b[8mhidden\r\b"), "[red]\x1b[1mred[/red]", "\x1b[31mtext", highlight=False)
    shown = screen.getvalue()
    assert "\x1b[2J" not in shown
    assert "\x9b" not in shown
    assert "\x1b]0;" not in shown
    assert "\x1b[8m" not in shown
    assert "\r" not in shown
    assert "\x1b[31m[1mred" in shown  # the color that was asked for, and nothing else
    widths = {len(line) for line in Text.from_ansi(shown).plain.splitlines()[:5]}
    assert len(widths) == 1  # the frame of the table is straight


@pytest.mark.parametrize("package", ["nlp_inference", "nlp_training"])
def test_all_commands_print_with_this_console(package: str) -> None:
    for path in (ROOT / package / "cli").glob("*.py"):
        assert "rich.console import Console" not in path.read_text(encoding="utf-8"), path
