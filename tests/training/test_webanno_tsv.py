r"""WebAnno TSV 3, by its specification: https://inception-project.github.io/releases/32.0/docs/user-guide.html#sect_webannotsv."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import messy_texts

from nlp_inference.document import Annotation, Document, Span
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data import InvalidDataError, load_documents, write_documents

LAYER = "#T_SP=webanno.custom.Span|value"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(*body, layers=(LAYER,), version="3.3"):
    lines = [f"#FORMAT=WebAnno TSV {version}", *layers, "", "", *body]
    Path("a.tsv").write_bytes("".join(f"{line}\n" for line in lines).encode())
    [document] = load_documents({"path": "a.tsv", "format": "webanno-tsv"})
    return document


def found(document):
    return [(document.surface(span), span.label) for span in document.gold.spans]


def test_spans_over_tokens_stacked_and_in_parts_of_tokens():
    document = read(
        "#Sentence.id=s1",
        "#Text=Ana Lee plays football",
        "1-1\t0-3\tAna\tPER[1]|first[2]\t",
        "1-2\t4-7\tLee\tPER[1]\t",
        "1-3\t8-13\tplays\t_\t",
        "1-3.1\t8-12\tplay\tverb\t",
        "1-3.2\t11-13\tys\todd[3]\t",
        "1-4\t14-22\tfootball\t_\t",
        "1-4.1\t14-18\tfoot\todd[3]|part[4]\t",
    )
    assert document.id == "a"
    assert found(document) == [
        ("Ana Lee", "PER"),
        ("Ana", "first"),
        ("play", "verb"),
        ("ys foot", "odd"),
        ("foot", "part"),
    ]


def test_sentences_are_parted_as_the_offsets_say():
    document = read(
        "#Text=One",
        "1-1\t2-5\tOne\tA[1]",
        "",
        "#Text=two",
        "#Text=three",
        "2-1\t6-9\ttwo\tA[1]",
        "2-2\t10-15\tthree\t_",
        "",
        "#Text=four",
        "3-1\t18-22\tfour\t_",
        "",
        "#Text=five",
        "4-1\t22-26\tfive\t_",
    )
    assert document.raw_text == "  One\ntwo\nthree\n  fourfive"
    assert found(document) == [("One\ntwo", "A")]


@pytest.mark.parametrize("version", ["3.1", "3.2", "3.3"])
def test_offsets_count_utf_16_and_text_is_escaped(version):
    document = read(
        "#Text=😀\\t\\\\n [x]",
        "1-1\t0-2\t😀\t*",
        "1-2\t3-5\t\\\\n\t\\[a\\|b\\]\\_\\\\\\->\\*\\;[7]",
        "1-3\t6-9\t[x]\t_",
        version=version,
    )
    assert document.raw_text == "😀\t\\n [x]"
    assert found(document) == [("😀", "Span"), ("\\n", "[a|b]_\\->*;")]


@pytest.mark.filterwarnings("ignore::nlp_training.data.errors.DataWarning")
def test_layers_that_are_read_and_what_is_not():
    document = read(
        "#Text=Bob sold it",
        "1-1\t0-3\tBob\tNNP\t*\tPER\t_\t_\t_\tpr[1]\tcoref->1-1\t_\t_\t",
        "1-2\t4-8\tsold\tVBD\t_\t_\tact\tseller\t1-1\t_\t_\tROOT\t1-1\t",
        "1-3\t9-11\tit\tPRP\t_\t_\t_\t_\t_\t_\t_\t_\t_\t",
        layers=(
            "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue",
            "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value",
            "#T_SP=webanno.custom.Frame|label|ROLE_webanno.custom.Frame:Roles_webanno.custom.Link|uima.tcas.Annotation",
            "#T_CH=de.tudarmstadt.ukp.dkpro.core.api.coref.type.CoreferenceLink|referenceType|referenceRelation",
            "#T_RL=webanno.custom.Dep|kind|BT_de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity",
        ),
    )
    assert found(document) == [("Bob", "PER"), ("sold", "act")]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["#Text=Ana", "1-1\t0-3"], "a.tsv:6: '1-1\\t0-3' is not a token"),
        (["#Text=Ana", "1-1\t0-3\tAna\t"], None),
        (["#Text=Ana", "1-1\t0-3\tAna"], "a.tsv:6: 0 cells, but the header names 1 columns or more"),
        (["#Text=Ana", "1-1\t0-4\tAna\t_"], "a.tsv:6: the offset 4 is inside a character or outside the text of 3"),
        (["#Text=Ana", "1-1\t0-2\tAna\t_"], "a.tsv:6: the text at 0-2 is 'An', not 'Ana'"),
        (["#Text=Ana", "1-1\t0-3\tAna\t_", "1-1.1\t3-3\t\tX"], "a.tsv:7: 'X' is an empty span"),
        (
            ["#Text=Ana", "1-1\t0-3\tAna\t_", "", "#Text=x", "2-1\t2-3\tx\t_"],
            "a.tsv:9: the sentence begins at 2, inside the previous sentence",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(lines, message):
    if message is None:
        assert found(read(*lines)) == [("Ana", "")]
        return
    with pytest.raises(InvalidDocumentError) as error:
        read(*lines)
    assert message in str(error.value)


def test_other_files_are_refused():
    Path("a.tsv").write_text("text\tlabel\n")
    with pytest.raises(InvalidDocumentError, match=r"a\.tsv:1: 'text\\tlabel' is not a header of WebAnno TSV 3"):
        load_documents({"path": "a.tsv", "format": "webanno-tsv"})
    Path("empty").mkdir()
    with pytest.raises(InvalidDataError, match=r"empty contains no \.tsv file"):
        load_documents({"path": "empty", "format": "webanno-tsv"})


def test_what_is_written():
    spans = (Span(start=0, end=7, label="PER"), Span(start=0, end=3, label="a|b"), Span(start=10, end=13, label="X"))
    document = Document(id="doc.txt/ana", raw_text="Ana Lee\n\n 😀 sings", gold=Annotation(spans=spans))
    write_documents([document], "set", format_name="webanno-tsv")
    assert Path("set/doc.txt%2Fana.tsv").read_text().splitlines() == [
        "#FORMAT=WebAnno TSV 3.3",
        "#T_SP=custom.Span|label",
        "",
        "",
        "#Text=Ana Lee",
        "#Text=",
        "#Text= 😀 sings",
        "1-1\t0-3\tAna\tPER[1]|a\\|b[2]\t",
        "1-2\t4-7\tLee\tPER[1]\t",
        "1-3\t10-12\t😀\tX[3]\t",
        "1-4\t13-18\tsings\t_\t",
        "1-4.1\t13-14\ts\tX[3]\t",
    ]
    [back] = load_documents({"path": "set", "format": "webanno-tsv"})
    assert (back.id, back.raw_text, back.gold) == (document.id, document.raw_text, document.gold)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gold": Annotation(spans=(Span(start=0, end=4, label="A"),))}, "webanno-tsv cannot store its spans"),
        ({"gold": None}, "webanno-tsv cannot store its annotation: 'not annotated' would be read as 'annotated'"),
        ({"metadata": {"page": 3}}, "--drop metadata"),
    ],
)
def test_what_it_cannot_carry_is_refused(change, message):
    document = Document(raw_text="Ana Lee", gold=Annotation()).model_copy(update=change)
    with pytest.raises(InvalidDocumentError, match=message):
        write_documents([document], "set", format_name="webanno-tsv")
    assert not Path("set").exists()


@st.composite
def marked_texts(draw):
    """Texts with spans that may overlap, and begin and end with what is no white space."""
    text = draw(messy_texts)
    solid = [at for at, character in enumerate(text) if not character.isspace()]
    if not solid:
        return Document(raw_text=text, id="1", gold=Annotation())
    ends = st.tuples(st.sampled_from(solid), st.sampled_from(solid)).map(sorted)
    labels = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=4)
    spans = draw(st.lists(st.builds(lambda ends, label: (ends[0], ends[1] + 1, label), ends, labels), max_size=5))
    return Document(
        raw_text=text,
        id="1",
        gold=Annotation(spans=tuple(Span(start=start, end=end, label=label) for start, end, label in spans)),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(marked_texts())
def test_any_text_and_any_labels_come_back(document):
    write_documents([document], "any", format_name="webanno-tsv")
    [back] = load_documents({"path": "any", "format": "webanno-tsv"})
    assert back.raw_text == document.raw_text
    assert sorted(map(str, back.gold.spans)) == sorted(map(str, document.gold.spans))
