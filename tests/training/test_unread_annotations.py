"""No reader ignores annotations in silence: each is read, refused by name, or counted in a warning."""

import json
from pathlib import Path

import pytest
import spacy

from nlp_inference.errors import InvalidDocumentError
from nlp_training.data import load_documents, stream_documents
from nlp_training.data.errors import DataWarning


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def counted(source):
    """What the reader says that it did not read, by kind."""
    with pytest.warns(DataWarning) as caught:
        documents = load_documents(source)
    [warning] = caught
    told = str(warning.message).partition("not read as annotations: ")[2].partition(". See")[0]
    counts = {kind: int(count) for count, _, kind in (one.partition(" x ") for one in told.split(", "))}
    return documents, counts


def label_studio(*tasks):
    Path("tasks.json").write_text(json.dumps(tasks))
    return {"path": "tasks.json", "format": "label-studio"}


def region(**changes):
    value = {"start": 0, "end": 3, "text": "Ana", "labels": ["PER"]}
    return {"id": "1", "type": "labels", "from_name": "label", "to_name": "text", "value": value, **changes}


def test_label_studio_completions_are_annotations():
    completions = {"data": {"text": "Ana"}, "completions": [{"id": 1, "result": [region()]}]}
    [document] = load_documents(label_studio(completions))
    assert [(span.start, span.end, span.label) for span in document.gold.spans] == [(0, 3, "PER")]
    [guessed] = load_documents("tasks.json")
    assert guessed == document
    with pytest.raises(InvalidDocumentError, match="both annotations and completions"):
        load_documents(label_studio(completions | {"annotations": completions["completions"]}))


def test_label_studio_drafts_and_notes_are_counted():
    task = {"data": {"text": "Ana"}, "annotations": [{"result": [region(meta={"text": ["sure?"]})]}]}
    _, counts = counted(label_studio(task | {"drafts": [{"result": [region()]}, {"result": []}]}, task))
    assert counts == {"drafts": 1, "notes on regions (meta)": 2}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value": {"start": 0, "end": 3, "labels": []}}, "the region '1' without a label"),
        ({"type": "taxonomy", "value": {"taxonomy": [["a"]]}}, "a region of type 'taxonomy'"),
        ({"type": "rating", "value": {"rating": 3}}, "a region of type 'rating'"),
    ],
)
def test_label_studio_regions_of_other_kinds_are_refused(changes, said):
    with pytest.raises(InvalidDocumentError, match=said):
        load_documents(label_studio({"data": {"text": "Ana"}, "annotations": [{"result": [region(**changes)]}]}))


def json_lines(known_as, *records):
    Path("a.jsonl").write_text("\n".join(map(json.dumps, records)))
    return {"path": "a.jsonl", "format": known_as}


@pytest.mark.parametrize(
    ("known_as", "record", "expected"),
    [
        ("jsonl", {"text": "Ana", "label": "x", "relations": [{"head": 0}]}, {"the key 'relations'": 1}),
        ("jsonl", {"text": "Ana", "label": "x", "cats": {"y": 1}}, {"the key 'cats'": 1}),
        ("jsonl", {"text": "Ana", "label": "x", "labels": ["y"]}, {"a label in addition to labels": 1}),
        (
            "jsonl",
            {"tokens": ["Ana"], "tags": ["O"], "spans": [{"start": 0, "end": 3, "label": "x"}]},
            {"spans in addition to tags": 1},
        ),
        ("doccano", {"text": "Ana", "label": [], "spans": [[0, 3, "x"]]}, {"the key 'spans'": 1}),
        ("doccano", {"text": "Ana", "label": ["x"], "labels": ["y"]}, {"labels in addition to label": 1}),
        ("prodigy", {"text": "Ana", "spans": [], "relations": [{"head": 0, "child": 1}]}, {"the key 'relations'": 1}),
        ("prodigy", {"text": "Ana", "spans": [], "arcs": [{"head": 0}]}, {"the key 'arcs'": 1}),
    ],
)
def test_keys_that_carry_annotations_are_counted(known_as, record, expected):
    documents, counts = counted(json_lines(known_as, record, record))
    assert len(documents) == 2
    assert counts == {kind: 2 * count for kind, count in expected.items()}


def test_doccano_of_old_versions_is_refused():
    old = {"id": 1, "text": "Ana", "annotations": [{"label": 1, "start_offset": 0, "end_offset": 3}]}
    with pytest.raises(InvalidDocumentError, match=r"doccano before 1\.0"):
        load_documents(json_lines("doccano", old))


def test_brat_events_attributes_and_normalizations_are_counted_and_kept():
    lines = ["T1\tPER 0 3\tAna", "E1\tPER:T1", "A1\tNegation T1", "M1\tSure T1", "N1\tReference T1 Wiki:7\tAna"]
    lines += ["*\tEquiv T1 T1", "R1\tof Arg1:E1 Arg2:T1", "#1\tAnnotatorNotes T1\tsure?"]
    Path("set").mkdir()
    Path("set/a.txt").write_text("Ana")
    Path("set/a.ann").write_text("\n".join(lines))
    [document], counts = counted({"path": "set", "format": "brat"})
    assert counts == {
        "events (E)": 1,
        "attributes (A)": 1,
        "attributes (M)": 1,
        "normalizations (N)": 1,
        "equivalences (*)": 1,
        "relations between others than two spans (R)": 1,
    }
    assert len(document.metadata["brat"]) == 7


def conllu(*rows):
    lines = ["\t".join([name, form, *["_"] * 7, misc]) for name, form, misc in rows]
    Path("a.conllu").write_text("\n".join(lines) + "\n\n")
    return "a.conllu"


def test_conllu_entities_in_other_ways_are_counted():
    rows = [("1", "Ana", "Entity=(e1-person)"), ("2-3", "don't", "_"), ("2", "do", "ner=B-A"), ("3", "n't", "ner=B-B")]
    rows += [("3.1", "x", "ner=B-C"), ("4", "Rome", "ner=B-LOC|NE=B-GPE")]
    [document], counts = counted(conllu(*rows))
    assert counts == {
        "entities in brackets in MISC": 1,
        "tags of words that are written as one": 1,
        "tags of words that are not written": 1,
        "further tags of a word in MISC": 1,
    }
    assert [span.label for span in document.gold.spans] == ["A", "LOC"]


def test_webanno_layers_and_features_that_are_not_read_are_counted():
    header = ["#FORMAT=WebAnno TSV 3.3", "#T_SP=custom.Span|label|negated", "#T_SP=de.tudarmstadt.ukp.x.Chunk|value"]
    header += ["#T_RL=custom.Relation|label|BT_custom.Span", "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.POS|p"]
    rows = ["1-1\t0-3\tAna\tPER\ttrue\tNC\t_\t_\tN\t", "1-2\t4-8\tRome\tLOC\t*\t_\tin\t1-1\tN\t"]
    Path("a.tsv").write_text("\n".join([*header, "", "#Text=Ana Rome", *rows]) + "\n")
    _, counts = counted({"path": "a.tsv", "format": "webanno-tsv"})
    assert counts == {"features negated": 1, "spans Chunk": 1, "relations Relation": 1}


def test_uima_types_and_features_that_are_not_read_are_counted():
    core = "de.tudarmstadt.ukp.dkpro.core.api"
    structures = [
        {"%ID": 1, "%TYPE": "uima.cas.Sofa", "sofaString": "Ana"},
        {"%ID": 2, "%TYPE": "custom.Span", "@sofa": 1, "begin": 0, "end": 3, "label": "PER", "negated": True},
        {"%ID": 3, "%TYPE": f"{core}.coref.type.CoreferenceLink", "@sofa": 1, "begin": 0, "end": 3},
        {"%ID": 4, "%TYPE": f"{core}.segmentation.type.Token", "@sofa": 1, "begin": 0, "end": 3},
        {"%ID": 5, "%TYPE": "custom.Slot", "role": "x"},
    ]
    Path("a.json").write_text(json.dumps({"%TYPES": {}, "%FEATURE_STRUCTURES": structures, "%VIEWS": {}}))
    [document], counts = counted({"path": "a.json", "format": "uima-cas"})
    assert len(document.gold.spans) == 1
    assert counts == {"features negated": 1, "CoreferenceLink": 1, "features role": 1, "Slot": 1}


def test_spacy_groups_and_categories_are_read_and_ids_are_counted():
    doc = spacy.blank("en")("Ana lives in Rome")
    doc.set_ents([spacy.tokens.Span(doc, 0, 1, label="PER", kb_id="Q1")], default="outside")
    doc.spans["mine"] = [spacy.tokens.Span(doc, 3, 4, label="LOC")]
    doc.cats = {"x": 1.0}
    doc.user_data["._.", "odd", None, None] = 1
    spacy.tokens.DocBin(docs=[doc], store_user_data=True).to_disk("a.spacy")
    [document], counts = counted("a.spacy")
    assert [span.label for span in document.gold.spans] == ["PER", "LOC"]
    assert [category.label for category in document.gold.categories] == ["x"]
    assert counts == {"extension attributes": 1, "ids of entities": 1}


def test_what_is_streamed_is_counted_too_and_once():
    source = json_lines("prodigy", *[{"text": "Ana", "spans": [], "arcs": [1]}] * 3)
    with pytest.warns(DataWarning, match="3 x the key 'arcs'") as caught:
        assert len(list(stream_documents(source))) == 3
    assert len(caught) == 1
