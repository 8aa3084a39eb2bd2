"""Which scheme the names of tags imply, and which names are refused."""

import pytest

from nlp_inference.errors import InvalidSpecError
from nlp_training.adopt import AmbiguousModelError, read_names
from nlp_training.adopt.tag_names import read_tags

READINGS = {
    # tags: scheme, labels, the row of each tag of the scheme
    "O B-PER I-PER B-LOC I-LOC": ("BIO", ("PER", "LOC"), (0, 1, 2, 3, 4)),
    "B-LOC B-PER I-LOC I-PER O": ("BIO", ("LOC", "PER"), (4, 0, 2, 1, 3)),
    "O B_PER I_PER": ("BIO", ("PER",), (0, 1, 2)),
    "O b-per i-per": ("BIO", ("per",), (0, 1, 2)),
    "PER-B PER-I O": ("BIO", ("PER",), (2, 0, 1)),
    "O B-PER": ("BIO", ("PER",), (0, 1, None)),
    "B I O": ("BIO", ("ENTITY",), (2, 0, 1)),
    "O B-PER I-PER L-PER U-PER": ("BILOU", ("PER",), (0, 1, 2, 3, 4)),
    "O S-PER B-PER E-PER I-PER": ("BIOES", ("PER",), (0, 2, 4, 3, 1)),
    "O S-PER B-PER E-PER M-PER": ("BIOES", ("PER",), (0, 2, 4, 3, 1)),
    "O B-PER M-PER E-PER W-PER": ("BIOES", ("PER",), (0, 1, 2, 3, 4)),
    "O B-PER E-PER S-PER": ("BIOES", ("PER",), (0, 1, None, 2, 3)),
    "PER LOC O": ("IO", ("PER", "LOC"), (2, 0, 1)),
    "O I-PER I-LOC": ("IO", ("PER", "LOC"), (0, 1, 2)),
    "B-LOC I-LOC I-PER O": ("IOB1", ("LOC", "PER"), (3, 0, 1, None, 2)),
    "B-O B-PER I-PER": ("BIO", ("PER",), (0, 1, 2)),
    "0 B-PER I-PER": ("BIO", ("PER",), (0, 1, 2)),
    "B-PER I-PER NONE": ("BIO", ("PER",), (2, 0, 1)),
}


@pytest.mark.parametrize("tags", READINGS)
def test_the_scheme_of_tags(tags: str) -> None:
    found = read_tags(tags.split())
    assert (found.scheme, found.labels, found.rows) == READINGS[tags]
    assert found.dropped == ()


def test_bio_and_iob1_have_the_same_tags() -> None:
    assert read_tags(["O", "B-PER", "I-PER"]).is_open
    found = read_tags(["O", "B-PER", "I-PER"]).with_scheme("IOB1")
    assert (found.scheme, found.rows, found.is_open) == ("IOB1", (0, 1, 2), False)


def test_tags_that_are_no_spans_are_labels_whose_spans_are_removed() -> None:
    found = read_tags(["O", "PAD", "B-PER", "I-PER", "X"])
    assert found.labels == ("PAD", "PER", "X")
    assert found.dropped == ("PAD", "X")
    assert found.rows == (0, 1, None, 2, 3, 4, None)


def test_of_several_tags_outside_of_spans_the_others_are_removed() -> None:
    assert read_tags(["O", "B-O", "I-O", "B-PER", "I-PER"]).dropped == ("O",)
    assert read_tags(["B-O", "I-O", "B-PER", "I-PER"]).rows == (0, 1, None, 2, 3)


REFUSED = {
    "O B-PER I-PER MISC": ("tagging scheme: 'B-PER', 'I-PER' have a letter", "--scheme IO"),
    "PER OTHER": ("'PER', 'OTHER', and it may be 'OTHER'", "--outside"),
    "PER LOC ORG": ("none of them is O", "--outside"),
    "O B-PER I-PER E-PER": ("the letters of its tags are B E I", "--scheme"),
    "O": ("name no span", "--labels"),
    "O B-PER b-PER": ("occurs twice", "--scheme or --labels"),
}


@pytest.mark.parametrize("tags", REFUSED)
def test_ambiguous_tags_are_refused_with_the_option_that_settles_it(tags: str) -> None:
    message, option = REFUSED[tags]
    with pytest.raises(AmbiguousModelError) as caught:
        read_tags(tags.split())
    assert message in str(caught.value)
    assert option in caught.value.option


def test_options_settle_it() -> None:
    assert read_tags(["PER", "OTHER"], outside="OTHER").rows == (1, 0)
    assert read_tags(["O", "B-PER", "I-PER", "E-PER"], scheme="BIOES").rows == (0, 1, 2, 3, None)
    assert read_tags(["O", "B-PER", "I-PER", "MISC"], scheme="IO").labels == ("B-PER", "I-PER", "MISC")


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidSpecError, match="--scheme is 'BOI', expected one of IO"):
        read_tags(["O", "B-PER"], scheme="BOI")
    with pytest.raises(InvalidSpecError, match="--outside is 'X', but the tags are 'O', 'B-PER'"):
        read_tags(["O", "B-PER"], outside="X")
    with pytest.raises(AmbiguousModelError, match="BIO has no tag for the letter 'E'"):
        read_tags(["O", "B-PER", "I-PER", "E-PER"], scheme="BIO")


def test_names_of_labels_are_read_from_an_option_or_a_file(tmp_path) -> None:
    assert read_names("a, b,c") == ("a", "b", "c")
    assert read_names("0=a,LABEL_1=b") == {"0": "a", "LABEL_1": "b"}
    (tmp_path / "names.txt").write_text("a\nb c\n")
    assert read_names(str(tmp_path / "names.txt")) == ("a", "b c")
    (tmp_path / "config.json").write_text('{"id2label": {"0": "a", "1": "b"}}')
    assert read_names(str(tmp_path / "config.json")) == {"0": "a", "1": "b"}
    (tmp_path / "list.json").write_text('["a", "b"]')
    assert read_names(str(tmp_path / "list.json")) == ("a", "b")
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(InvalidSpecError, match="write a list of names"):
        read_names(str(tmp_path / "bad.json"))
    with pytest.raises(InvalidSpecError, match="does not exist"):
        read_names("absent.json")
