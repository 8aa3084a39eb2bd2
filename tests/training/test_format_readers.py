"""Files that other tools wrote, and what is wrong with some of them, named by file and line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nlp_inference.document import Relation
from nlp_inference.errors import InvalidDocumentError
from nlp_training.cli import app
from nlp_training.data import InvalidDataError, load_documents, write_documents
from nlp_training.data.errors import DataWarning


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(name, content, *, known_as=None):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_documents({"path": path.parts[0], "format": known_as})


def found(document):
    return [(document.surface(span), span.label) for span in document.gold.spans]


CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC

Brussels NNP I-NP I-LOC
Paris NNP B-NP B-LOC

-DOCSTART- -X- -X- O

Rome NNP I-NP I-LOC
"""


def test_conll_2003_by_sentences_and_by_documents():
    sentences = read("eng.train", CONLL_2003, known_as="conll")
    assert [document.metadata["document"] for document in sentences] == ["1", "1", "2"]
    assert [found(document) for document in sentences] == [
        [("EU", "ORG"), ("German", "MISC")],
        [("Brussels", "LOC"), ("Paris", "LOC")],
        [("Rome", "LOC")],
    ]
    assert sentences[0].id == "eng.train:3"
    [first, second] = read("eng.train", CONLL_2003, known_as="conll-documents")
    assert (first.raw_text, second.id) == ("EU rejects German\nBrussels Paris", "eng.train:10")


@pytest.mark.parametrize(
    "tags", ["B-PER I-PER O B-LOC", "I-PER I-PER O I-LOC", "B-PER E-PER O S-LOC", "B-PER L-PER O U-LOC"]
)
def test_the_schemes_of_tags_need_no_name(tags):
    rows = zip(["Ana", "Lee", "in", "Rome"], tags.split(), strict=True)
    [document] = read("a.conll", "\n".join(f"{word}\t{tag}" for word, tag in rows))
    assert found(document) == [("Ana Lee", "PER"), ("Rome", "LOC")]


CONLLU = """# newdoc id = GUM_1
# sent_id = s1
# text = Isn't Ana  here?
1-2\tIsn't\t_\t_\t_\t_\t_\t_\t_\t_
1\tIs\tbe\tAUX\t_\t_\t0\troot\t_\tner=O
2\tn't\tnot\tPART\t_\t_\t1\tadvmod\t_\tner=O
3\tAna\tAna\tPROPN\t_\t_\t1\tnsubj\t_\tner=S-PER
4\there\there\tADV\t_\t_\t1\tadvmod\t_\tSpaceAfter=No|ner=O
5\t?\t?\tPUNCT\t_\t_\t1\tpunct\t_\tner=O
5.1\tis\t_\t_\t_\t_\t_\t_\t_\t_
"""


def test_conllu_with_words_written_as_one_and_words_that_are_not_written():
    [document] = read("a.conllu", CONLLU)
    assert (document.id, document.raw_text, found(document)) == ("s1", "Isn't Ana  here?", [("Ana", "PER")])
    [whole] = read("a.conllu", CONLLU.replace("# text", "# note"), known_as="conllu-documents")
    assert (whole.id, whole.raw_text) == ("GUM_1", "Isn't Ana here?")


ANN = """T1\tDisease 0 4;16 23\tleft  failure
T2\tDrug 8 12\tdrug
T9\tTreat 5 7\tby
R1\tCauses Arg1:T2 Arg2:T1
E1\tTreat:T9 Theme:T2
A1\tNegation T9
#1\tAnnotatorNotes T2\tsure? T9
*\tEquiv T1 T2
"""


def test_brat_keeps_fragments_and_everything_else():
    Path("set").mkdir()
    Path("set/b.txt").write_text("not annotated")
    Path("set/a.ann").write_text(ANN)
    with pytest.warns(DataWarning, match=r"1 x events \(E\), 1 x attributes \(A\), 1 x equivalences"):
        [document, plain] = read("set/a.txt", "left by drug xx failure 😀", known_as="brat")
    assert plain.gold is None
    assert found(document) == [("left", "Disease"), ("failure", "Disease"), ("drug", "Drug"), ("by", "Treat")]
    assert document.gold.relations == (
        Relation(head=0, tail=1, label="next-fragment"),
        Relation(head=2, tail=0, label="Causes"),
    )
    assert document.metadata["brat"][0] == "E1\tTreat:T4 Theme:T3"
    write_documents([document], "again", format_name="brat")
    with pytest.warns(DataWarning, match="events"):
        [back] = load_documents({"path": "again", "format": "brat"})
    assert (back.gold, back.metadata["brat"]) == (document.gold, document.metadata["brat"])


def test_doccano():
    entities = [
        {"id": 7, "label": "P", "start_offset": 0, "end_offset": 3},
        {"id": 9, "label": "C", "start_offset": 4, "end_offset": 8},
    ]
    records = [
        {"id": 1, "text": "Ana Rome", "label": [[0, 3, "P"]], "Comments": []},
        {"id": 2, "text": "Ana Rome", "entities": entities, "relations": [{"from_id": 7, "to_id": 9, "type": "in"}]},
        {"id": 3, "text": "fine", "label": ["joy"]},
        {"id": 4, "text": "new"},
    ]
    [spans, links, labels, plain] = read("a.jsonl", "\n".join(map(json.dumps, records)), known_as="doccano")
    assert (spans.id, found(spans), spans.metadata["Comments"]) == ("1", [("Ana", "P")], [])
    assert links.gold.relations == (Relation(head=0, tail=1, label="in"),)
    assert ([category.label for category in labels.gold.categories], plain.gold) == (["joy"], None)


@pytest.mark.parametrize(("start", "end"), [(2, 6), (3, 7)])
def test_label_studio_in_characters_and_in_utf_16(start, end):
    region = {"id": "a", "type": "labels", "value": {"start": start, "end": end, "text": "Rome", "labels": ["CITY"]}}
    task = {"id": 5, "data": {"text": "😀 Rome", "page": 2}, "annotations": [{"result": [region]}]}
    [document] = read("a.json", json.dumps([task]), known_as="label-studio")
    assert (document.id, found(document), document.metadata["page"]) == ("5", [("Rome", "CITY")], 2)


def test_prodigy_counts_what_was_accepted():
    spans = [{"start": 0, "end": 3, "label": "P", "token_start": 0}]
    tasks = [{"text": "Ana", "spans": spans, "answer": answer} for answer in ("accept", "reject", "ignore")]
    [yes, no, skipped] = read("a.jsonl", "\n".join(map(json.dumps, tasks)), known_as="prodigy")
    assert (found(yes), no.gold, skipped.gold) == ([("Ana", "P")], None, None)
    assert no.metadata["answer"] == "reject"


def test_a_cas_of_inception_counts_utf_16():
    entity = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
    structures = [
        {"%ID": 1, "%TYPE": "uima.cas.Sofa", "sofaNum": 1, "sofaID": "_InitialView", "sofaString": "😀 Rome"},
        {
            "%ID": 2,
            "%TYPE": "de.tudarmstadt.ukp.dkpro.core.api.segmentation.type.Token",
            "@sofa": 1,
            "begin": 3,
            "end": 7,
        },
        {"%ID": 3, "%TYPE": entity, "@sofa": 1, "begin": 3, "end": 7, "value": "LOC"},
    ]
    [document] = read("set/doc.txt/admin.json", json.dumps({"%FEATURE_STRUCTURES": structures}), known_as="uima-cas")
    assert (document.id, found(document)) == ("doc.txt/admin", [("Rome", "LOC")])


@pytest.mark.parametrize(
    ("name", "known_as", "content", "message"),
    [
        ("a.conll", None, "Ana B-PER\nRome\n", "a.conll:2: 'Rome' has 1 columns, the lines above have 2"),
        ("a.conll", None, "Ana O\nRome LOC\n", "a.conll:2: tag 1 is 'LOC'"),
        ("a.conll", "conll-documents", "Ana O\n", "a.conll:1: 1 sentences before any -DOCSTART- line"),
        ("a.conll", None, b"Ana O\nMalm\xf6 O\n", "a.conll:2: byte 4 of the line is not UTF-8"),
        ("a.conllu", None, "1\tAna\n", "a.conllu:1: 2 columns; CoNLL-U has 10"),
        ("a.csv", None, 'text,label\nhi,a\n"x\ny",b,c\n', "a.csv:3: 3 cells for 2 columns"),
        ("a.csv", None, "text,score\nhi,much\n", "a.csv:2: score is 'much'; write a number"),
        ("a.csv", None, "text,score\nhi,2_5\n", "a.csv:2: score is '2_5'; write a number"),
        ("a.csv", None, "text,text\nhi,a\n", "a.csv: the column 'text' occurs twice"),
        ("a.csv", None, "", "a.csv is empty"),
        ("a.jsonl", "doccano", '{"text": "hi", "label": [[0, "x", "A"]]}', "a.jsonl:1: its annotation cannot be read"),
        ("a.jsonl", "prodigy", '\n{"text": "hi", "spans": [{"start": 0}]}', "a.jsonl:2: spans, label or accept cannot"),
        ("a.json", "label-studio", '[{"data": {"image": "x"}}]', "a.json task 1: the task cannot be read"),
        ("a.json", "label-studio", "{}", "a.json contains dict; Label Studio exports a list"),
        ("a.json", "uima-cas", "[]", "a.json: this is not a CAS as JSON"),
        ("set/a.txt", "brat", "", "set/a.ann:1: 0 4 is outside the text of 0 characters"),
        (
            "set/a.txt",
            "brat",
            "right by drug xx failure",
            "the annotation contains 'left  failure'; offsets count code points",
        ),
        ("set/b.txt", "brat", "", "set/a.ann: the .txt file with the text is missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_line(name, known_as, content, message):
    if known_as == "brat":
        Path("set").mkdir()
        Path("set/a.ann").write_text(ANN)
    with pytest.raises((InvalidDocumentError, InvalidDataError)) as error:
        read(name, content, known_as=known_as)
    assert message in str(error.value)


def convert(*arguments):
    return CliRunner().invoke(app, ["convert", *arguments])


def test_convert_says_what_it_wrote():
    Path("eng.train").write_text(CONLL_2003)
    done = convert("eng.train", "train.csv", "--from", "conll", "--json")
    assert done.exit_code == 0, done.output
    [written] = json.loads(done.stdout)
    assert written == {
        "path": "train.csv",
        "documents": 3,
        "annotated": 3,
        "characters": 17 + 14 + 4,
        "labels": {"ORG": 1, "MISC": 1, "LOC": 3},
    }
    assert found(load_documents("train.csv")[0]) == [("EU", "ORG"), ("German", "MISC")]


def test_convert_splits():
    Path("eng.train").write_text(CONLL_2003)
    arguments = [
        "--from",
        "conll",
        "--to",
        "conllu",
        "--split",
        "train=0.5,test=0.5",
        "--group-by",
        "metadata.document",
    ]
    done = convert("eng.train", "out", *arguments)
    assert done.exit_code == 0, done.output
    sizes = {name: len(load_documents(f"out/{name}.conllu")) for name in ("train", "test")}
    assert sorted(sizes.values()) == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.jsonl", "a.bin"], "the suffix of 'a.bin' does not determine its format; name the format with --to"),
        (["a.jsonl", "a.jsonl"], "'a.jsonl' already exists; choose another path, or pass --overwrite"),
        (["a.jsonl", "a.conll"], "conll cannot store its metadata"),
        (["a.jsonl", "a.conll", "--drop", "meta"], "cannot drop 'meta'; the parts are id,"),
        (["a.jsonl", "b.jsonl", "--group-by", "text"], "--group-by requires --split"),
        (["b.jsonl", "c.jsonl"], "the file 'b.jsonl' does not exist"),
    ],
)
def test_what_cannot_be_converted(arguments, message):
    Path("a.jsonl").write_text('{"text": "hi", "page": 3}')
    done = convert(*arguments)
    assert done.exit_code == 1
    assert message in " ".join(done.stderr.split())
    assert sorted(path.name for path in Path().iterdir()) == ["a.jsonl"]
    assert convert("a.jsonl", "a.conll", "--drop", "metadata").exit_code == 0
