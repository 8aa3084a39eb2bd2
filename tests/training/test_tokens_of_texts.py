"""Tokens beside a text must make it up, in every format; otherwise gold would be put inside other words."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nlp_inference.errors import InvalidDocumentError
from nlp_training.data import load_documents

WRONG = {"text": "This is Rome", "tokens": ["is", "Rome"], "tags": ["O", "B-CITY"]}
RIGHT = {"text": "This is\n Rome ", "tokens": ["This", "is", "Rome"], "tags": ["O", "O", "B-CITY"]}


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")


def write_rows(suffix, *records):
    path = f"a.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(list(records)), path)
    elif suffix == "csv":
        cells = [[record["text"], *(json.dumps(record[key]) for key in ("tokens", "tags"))] for record in records]
        quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells]
        Path(path).write_text("\n".join(["text,tokens,tags", *quoted]), encoding="utf-8")
    elif suffix == "json":
        Path(path).write_text(json.dumps(list(records)), encoding="utf-8")
    else:
        Path(path).write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return path


@pytest.mark.parametrize(("text", "token"), [("Zo\u00eb sang", "Zoe\u0308"), ("Zoe\u0308 sang", "Zo\u00eb")])
def test_a_token_in_another_unicode_form_looks_the_same_and_is_named(text, token):
    path = write_rows("jsonl", {"text": text, "tokens": [token, "sang"], "tags": ["B-PERSON", "O"]})
    with pytest.raises(InvalidDocumentError, match=r"a\.jsonl:1: token 0 is .* in another Unicode normalization form"):
        load_documents(path)


@pytest.mark.parametrize(
    ("suffix", "place"), [("jsonl", "a.jsonl:2"), ("csv", "a.csv:4"), ("parquet", "row 2"), ("json", "row 2")]
)
def test_rows_with_a_text_and_tokens(suffix, place, tmp_path):
    path = write_rows(suffix, RIGHT, RIGHT | {"text": "This is Rome"})
    documents = load_documents(path, cache_dir=tmp_path / "right")
    assert [[(span.start, span.end) for span in one.gold.spans] for one in documents] == [[(9, 13)], [(8, 12)]]
    path = write_rows(suffix, RIGHT, WRONG)
    with pytest.raises(InvalidDocumentError) as error:
        load_documents(path, cache_dir=tmp_path / "wrong")
    assert place in str(error.value)
    assert "token 0 is 'is', but the text at character 0 is 'This is Rome'" in str(error.value)


def conllu(text, *rows):
    lines = [f"# text = {text}"]
    lines += ["\t".join([name, form, *["_"] * 7, misc]) for name, form, misc in rows]
    Path("a.conllu").write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return "a.conllu"


ANAS = (("1-2", "Ana's", "_"), ("1", "Ana", "ner=B-PER"), ("2", "is", "ner=O"), ("3", "here", "SpaceAfter=No|ner=O"))


@pytest.mark.parametrize("known_as", ["conllu", "conllu-documents"])
@pytest.mark.parametrize(
    ("text", "rows", "problem"),
    [
        ("Ana's here!", (*ANAS, ("4", "!", "ner=O")), None),
        ("Ana's here !", (*ANAS, ("4", "!", "ner=O")), None),
        ("Ana's   here!", (*ANAS, ("4", "!", "ner=O")), None),
        ("So Ana's here!", (*ANAS, ("4", "!", "ner=O")), 'token 0 is "Ana\'s", but the text at character 0 is'),
        ("Ana's really here!", (*ANAS, ("4", "!", "ner=O")), "token 1 is 'here', but the text at character 5 is"),
        ("Ana's here!", ANAS, "the text continues with '!' at character 10"),
        ("Ana is here", ANAS, "token 0 is \"Ana's\", but the text at character 0 is 'Ana is here'"),
    ],
)
def test_conllu_with_a_text(known_as, text, rows, problem):
    source = {"path": conllu(text, *rows), "format": known_as}
    if problem is None:
        [document] = load_documents(source)
        assert (document.raw_text, [(span.start, span.end) for span in document.gold.spans]) == (text, [(0, 5)])
        return
    with pytest.raises(InvalidDocumentError) as error:
        load_documents(source)
    assert str(error.value).startswith("a.conllu:2: ")
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["1-1\t0-4\tThis\t_", "1-2\t5-7\tis\t_", "1-3\t8-12\tRome\tCITY"], None),
        (["1-1\t5-7\tis\t_", "1-2\t8-12\tRome\tCITY"], "a.tsv:5: the text at 5-7 is 'Th', not 'is'"),
        (["1-1\t0-4\tThis\t_", "1-2\t8-12\tRome\tCITY"], "a.tsv:6: ' is ' before offset 8 is in no token"),
        (["1-1\t0-4\tThis\t_", "1-2\t5-7\tis\tCITY"], "a.tsv: ' Rome' before offset 12 is in no token"),
        (["1-1\t0-4\tThis\t_", "1-2\t2-7\tis is\tCITY"], "a.tsv:6: the token at 2-7 overlaps the previous token"),
    ],
)
def test_webanno_tsv(rows, problem):
    lines = ["#FORMAT=WebAnno TSV 3.3", "#T_SP=custom.Span|label", "", "#Text=This is Rome", *rows]
    Path("a.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = {"path": "a.tsv", "format": "webanno-tsv"}
    if problem is None:
        [document] = load_documents(source)
        assert [(span.start, span.end) for span in document.gold.spans] == [(8, 12)]
    else:
        with pytest.raises(InvalidDocumentError) as error:
            load_documents(source)
        assert problem in str(error.value)


def test_webanno_tsv_with_a_sentence_that_has_no_tokens():
    Path("a.tsv").write_text("#FORMAT=WebAnno TSV 3.3\n\n#Text=Ana\n1-1\t0-3\tAna\n\n#Text=Bob\n", encoding="utf-8")
    with pytest.raises(InvalidDocumentError, match=r"a\.tsv: the sentence 'Bob' has no tokens"):
        load_documents({"path": "a.tsv", "format": "webanno-tsv"})
