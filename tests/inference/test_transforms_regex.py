"""replace_regex: patterns and replacements from strangers, time limits, and the fast way equal to the slow one."""

import pickle
import re

import pytest
import regex
from cpu_time import takes_less_than
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from nlp_inference.document import Document
from nlp_inference.document.aligned_text import Cuts, apply_edits
from nlp_inference.errors import InvalidSpecError, PatternTimeoutError
from nlp_inference.transforms import ReplaceRegex, Transform, _patterns
from nlp_inference.transforms._patterns import clock_free_characters, search_within, step_bound
from nlp_inference.transforms._splitting import WHITE_SPACE, make_splitters


@pytest.mark.parametrize(
    ("fields", "raw", "text"),
    [
        ({"pattern": r"(?P<a>\d)-(\d)", "replacement": r"\2\g<a>\g<1>"}, "1-2", "211"),
        ({"pattern": "a|(b)", "replacement": r"[\1]"}, "ab", "[][b]"),
        ({"pattern": "A+", "replacement": "x", "ignore_case": True}, "aAb", "xb"),
        ({"pattern": "a", "replacement": "A", "ignore_case": True}, "aA", "AA"),
        ({"pattern": ".", "replacement": r"\\\n\t\."}, "x", "\\\n\t\\."),
        ({"pattern": r"\b", "replacement": "|"}, "to be", "|to| |be|"),
        ({"pattern": r"(?i)straße", "replacement": "road"}, "STRAßE", "road"),
        ({"pattern": r"\p{Lu}++", "replacement": "U"}, "ÀBc", "Uc"),
        ({"pattern": r"(\w)\1", "replacement": r"\1"}, "aabbc", "abc"),
        ({"pattern": "(?<=a)b", "replacement": ""}, "abb", "ab"),
        ({"pattern": r"a\Kb", "replacement": "-"}, "ab", "a-"),
        ({"pattern": r"\s+", "replacement": " "}, "a b  c\nd ", "a b c d "),
        ({"pattern": r"\d+", "replacement": "0"}, "0 10 00", "0 0 0"),
        ({"pattern": "[.]+", "replacement": "."}, "a.b..c", "a.b.c"),
        ({"pattern": r"\+", "replacement": ""}, r"a+b++\c*", r"ab\c*"),
        ({"pattern": r"\++", "replacement": "+"}, r"a+b++\c*", r"a+b+\c*"),
        ({"pattern": r"\*", "replacement": ""}, r"a+b**\c*", r"a+b\c"),
        ({"pattern": "[+]", "replacement": ""}, "a+b++", "ab"),
    ],
)
def test_replacements(fields, raw, text):
    assert ReplaceRegex(**fields)(Document(raw_text=raw)).text == text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pattern": "("}, "is not a regular expression: missing"),
        ({"pattern": "[z-a]"}, "is not a regular expression"),
        ({"pattern": ""}, "at least 1 character"),
        ({"pattern": "a" * 20_000}, "at most 10000"),
        ({"pattern": "(a)", "replacement": r"\2"}, "refers to group '2', but pattern '(a)' has 1 groups"),
        ({"pattern": "(?P<x>a)", "replacement": r"\g<y>"}, "refers to group 'y', .* has 1 groups, named 'x'"),
        ({"pattern": "a", "replacement": r"\g<>"}, "refers to group ''"),
        ({"pattern": "a", "replacement": "\\"}, "lone backslash"),
        ({"pattern": "a", "replacement": r"\q"}, r"unknown escape '\\q'"),
        ({"pattern": "a", "replacement": r"\0"}, r"unknown escape '\\0'"),
        ({"pattern": "a", "timeout": 0}, "greater than 0"),
        ({"pattern": "a", "timeout": float("inf")}, "less than or equal to 60"),
        ({"pattern": "a", "flags": "i"}, "unknown key 'flags'"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_built(fields, words):
    with pytest.raises(InvalidSpecError, match=words.replace("(", r"\(").replace(")", r"\)")):
        Transform.from_spec({"replace_regex": fields})


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|aa)+[bc]", r"(\w+\s?)*!", r"(\w*)*[!]"])
@pytest.mark.parametrize("replacement", ["", r"\g<0>"])
def test_a_hostile_pattern_ends_in_a_clear_error(pattern, replacement):
    step = ReplaceRegex(pattern=pattern, replacement=replacement, timeout=0.1)
    with takes_less_than(10), pytest.raises(PatternTimeoutError) as caught:
        step(Document(raw_text="a" * 5000 + "?b!"))
    assert f"pattern {pattern!r} ran longer than 0.1 s on a text of 5003 characters" in str(caught.value)
    assert "increase its 'timeout'" in str(caught.value)


@pytest.mark.parametrize(
    ("spent", "timeouts"),
    [(2.0, [2.0]), (1.25, [2.0]), (1.0, [2.0, 4.0]), (0.5, [2.0, 8.0]), (0.25, [2.0, 10.0]), (0.0, [2.0, 10.0])],
    ids=["all of it", "most of it", "half of it", "a quarter", "an eighth of four processors", "nothing"],
)
def test_time_that_other_threads_took_is_added_once(monkeypatch, spent, timeouts):
    times = iter([10.0, 10.0 + spent])
    monkeypatch.setattr(_patterns, "thread_time", lambda: next(times))
    monkeypatch.setattr(_patterns, "cpu_count", lambda: 4)
    given = []

    def search(text, timeout):
        given.append(timeout)
        raise TimeoutError(text)

    with pytest.raises(TimeoutError):
        search_within(search, "text", timeout=2.0)
    assert given == timeouts


def test_a_search_that_ends_at_the_second_try_gives_what_it_found(monkeypatch):
    outcomes = iter([TimeoutError(), "found"])

    def search(text, timeout):
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert search_within(search, "text", timeout=2.0) == "found"


def test_the_limit_holds_for_the_whole_text_not_for_each_match():
    step = ReplaceRegex(pattern="(?:a|aa)+[bc]|x", timeout=0.2)
    with pytest.raises(PatternTimeoutError):
        step(Document(raw_text=("a" * 20 + "x") * 150))


@pytest.mark.parametrize(
    ("pattern", "bound"),
    [
        ("[“”]", (1, 1)),
        (r"\s+", (1, 1)),
        (r"https?://\S+", (18, 1)),
        (r"\$\d{3}", (4, 1)),
        ("ab|cd+", (4, 1)),
        ("(?:ab)(?P<name>c)", (3, 1)),
        ("<[^>]+>", (3, 2)),
        (r"&(\w+);", (3, 2)),
        ("a*b*c", (3, 3)),
        ("a*", None),
        ("a?", None),
        ("a|", None),
        ("|a", None),
        ("(a+)+b", None),
        ("(a|b)", None),
        ("(ab)*", None),
        ("a{2,}", None),
        ("a{1,9}", None),
        ("a+?", None),
        ("a++", None),
        (r"\bword", None),
        ("^a", None),
        (r"(a)\1", None),
        ("(?i)a", None),
        ("(?=a)a", None),
        ("[[a]--[b]]", None),
        ("[[:alpha:]]", None),
        ("a" * 65, None),
        ("a{99}", None),
        ("a?" * 5 + "b", None),
    ],
)
def test_which_patterns_are_known_to_be_cheap(pattern, bound):
    assert step_bound(pattern) == bound


def test_the_clock_may_be_left_out_only_where_the_bound_fits_the_limit():
    assert clock_free_characters(r"\s+", 2.0) == 40_000_000
    assert clock_free_characters("<[^>]+>", 2.0) == 3651
    assert clock_free_characters("(a+)+b", 2.0) == 0


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("<[^>]+>", "<"), (r"&(\w+);", "&a"), ("a*b*c", "ab"), (r"a+b+", "a"), (r"\w+@", "a"), (".+x", "a")],
)
def test_a_cheap_pattern_ends_within_its_limit_at_its_longest_text(pattern, text):
    length = clock_free_characters(pattern, 1.0)
    with takes_less_than(5):
        list(regex.finditer(pattern, (text * length)[:length]))
    for replacement in ("", "-"):
        with takes_less_than(5):
            make_splitters(pattern, replacement=replacement, ignore_case=False).unlimited((text * length)[:length])


@pytest.mark.parametrize(
    ("pattern", "standard"),
    [
        (r"\s", f"[{WHITE_SPACE}]"),
        (r"\S", f"[^{WHITE_SPACE}]"),
        (r"[\sx]", f"[{WHITE_SPACE}x]"),
        (r"[^\s]", f"[^{WHITE_SPACE}]"),
        (".", "."),
        (r"[^\n]", r"[^\n]"),
        ("[a-z]", "[a-z]"),
    ],
)
def test_both_engines_agree_on_every_character_there_is(pattern, standard):
    every_character = "".join(map(chr, range(0x110000)))
    assert re.findall(standard, every_character) == regex.findall(pattern, every_character)
    splitters = make_splitters(pattern, replacement="", ignore_case=False)
    assert splitters.unlimited.__self__.pattern == f"({standard})"
    assert isinstance(splitters.unlimited.__self__, re.Pattern)


@pytest.mark.parametrize(
    ("pattern", "ignore_case", "engine"),
    [
        ("<[^>]+>", False, re.Pattern),
        (r"https?://\S+", False, re.Pattern),
        ("(a)b", False, re.Pattern),
        ("a", True, regex.Pattern),
        (r"\d", False, regex.Pattern),
        (r"[\w]", False, regex.Pattern),
        (r"[^\S ]", False, regex.Pattern),
        (r"[\]\S]", False, regex.Pattern),
        (r"\[\S", False, re.Pattern),
        (r"\\d", False, re.Pattern),
        ("a|", False, regex.Pattern),
        ("a++", False, regex.Pattern),
    ],
)
def test_which_engine_a_pattern_runs_on(pattern, ignore_case, engine):
    splitters = make_splitters(pattern, replacement="", ignore_case=ignore_case)
    assert isinstance(splitters.unlimited.__self__, engine)
    assert isinstance(splitters.limited.__self__, regex.Pattern)


@pytest.mark.parametrize("pattern", ["(a)|", r"a\Kb", "(?i)a", "(?<=b)a", r"(a)\1"])
def test_what_a_group_would_change_is_not_split(pattern):
    assert make_splitters(pattern, replacement="", ignore_case=False) is None


ITEMS = st.sampled_from(
    [
        "a",
        "b",
        " ",
        "[ab]",
        "[^a]",
        "[(]",
        r"[^\s]",
        r"[^\S ]",
        r"[\]\S]",
        r"\s",
        r"\S",
        r"\w",
        ".",
        r"\.",
        r"\+",
        r"\*",
        r"\(",
        "(a)",
        "(?:b)",
    ]
)
QUANTIFIED = st.builds("".join, st.tuples(ITEMS, st.sampled_from(["", "", "+", "*", "?", "{2}", "+?", "++"])))
PATTERNS = st.lists(st.lists(QUANTIFIED, min_size=1, max_size=3).map("".join), min_size=1, max_size=2).map("|".join)


@settings(deadline=None, max_examples=examples(600))
@given(
    pattern=PATTERNS,
    replacement=st.sampled_from(["", " ", "a", "ab"]),
    text=st.text("ab .(+*\\\n\x1c\x85\u3000", max_size=15),
    limited=st.booleans(),
)
def test_the_fast_way_gives_what_the_engine_substitutes(pattern, replacement, text, limited):
    splitters = make_splitters(pattern, replacement=replacement, ignore_case=False)
    if limited and splitters is not None:
        edits = list(Cuts(splitters.limited(text), replacement=replacement))
    else:
        edits = list(ReplaceRegex(pattern=pattern, replacement=replacement).propose(text))
    assert apply_edits(text, edits) == regex.sub(pattern, replacement, text)
    found = [match.span() for match in regex.finditer(pattern, text) if match[0] != replacement]
    assert [edit[:2] for edit in edits if text[edit.start : edit.end] != edit.replacement] == found


@settings(deadline=None, max_examples=examples(300))
@given(
    template=st.lists(st.sampled_from([r"\1", r"\2", r"\g<1>", r"\g<n>", r"\g<0>", r"\\", r"\n", r"\t", "x", "<"])).map(
        "".join
    )
)
def test_a_replacement_means_what_it_means_to_the_standard_library(template):
    pattern = r"(a)(?P<n>b)?"
    result = ReplaceRegex(pattern=pattern, replacement=template)(Document(raw_text="ab-a")).text
    assert result == re.sub(pattern, template, "ab-a")


def test_a_used_transform_can_be_sent_to_another_process():
    step = ReplaceRegex(pattern="(a)", replacement=r"\1\1")
    assert step(Document(raw_text="a")).text == "aa"
    assert pickle.loads(pickle.dumps(step)) == step  # noqa: S301 - our own object


@pytest.mark.parametrize("pattern", ["a{99999999}", "(a{1000}){1000}", "((b{200}){200}){200}", "a{1000000,}"])
def test_a_pattern_that_would_fill_the_memory_when_compiled_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidSpecError, match="repeats too much"):
        Transform.from_spec({"replace_regex": {"pattern": pattern, "replacement": ""}})
