"""An MLflow model is saved, loaded in another process and asked, as those that serve MLflow models do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from nlp_inference import Predictor
from nlp_inference.errors import ArtefactError, InvalidDocumentError
from nlp_inference.integrations.mlflow_model import PredictorModel, save_model

ROOT = Path(__file__).parents[2]
# of MLflow, about its own types, when it is imported; its message begins with a colour
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")
TEXTS = ["<p>Ana&nbsp;lives in <b>Rome</b></p>", "Bob writes to Ana", ""]

LOAD = """
import json, sys
import mlflow.pyfunc, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
texts = json.loads(sys.argv[2])
table = pandas.DataFrame({"id": ["a", "b", "c"], "text": texts}, index=[7, 8, 9])
answers = model.predict(table)
records = model.predict([{"text": text} for text in texts])
print(json.dumps({"columns": list(answers.columns), "index": list(answers.index), "ids": list(answers.id),
    "spans": list(answers.spans), "same": list(records.spans) == list(answers.spans),
    "types": model.metadata.signature.to_dict()}))
"""


@pytest.fixture(scope="module")
def saved(saved_model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("mlflow") / "flavour"
    save_model(saved_model, path)
    return path


def test_another_process_loads_it_and_gives_what_the_predictor_gives(saved, saved_model) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LOAD, str(saved), json.dumps(TEXTS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    documents = Predictor.from_pretrained(saved_model, device="cpu").predict(TEXTS)
    expected = [[span.model_dump() for span in document.predicted.spans] for document in documents]
    assert any(expected)
    assert [[{**span, "score": round(span["score"], 4)} for span in spans] for spans in told["spans"]] == [
        [{**span, "score": round(span["score"], 4)} for span in spans] for spans in expected
    ]
    columns = ["id", "spans", "categories", "relations", "generated", "error"]
    assert (told["columns"], told["index"]) == (columns, [7, 8, 9])
    assert (told["ids"], told["same"]) == (["a", "b", "c"], True)
    assert [one["name"] for one in json.loads(told["types"]["inputs"])] == ["text", "text_pair", "id"]


def test_the_model_says_what_it_needs(saved) -> None:
    assert "nlp-inference[mlflow,torch]" in (saved / "requirements.txt").read_text().split()
    assert "loader_module: nlp_inference.integrations.mlflow_model" in (saved / "MLmodel").read_text()
    assert not list(saved.rglob("*.pkl"))


def test_texts_may_come_without_a_table_and_failures_are_rows(saved_model) -> None:
    model = PredictorModel(Predictor.from_pretrained(saved_model, device="cpu"))
    answers = model.predict(["Ana", "\ud800", "Bob"])
    assert list(answers.id) == ["0", "1", "2"]
    assert [error and error.partition(":")[0] for error in answers.error] == [None, "InvalidDocumentError", None]
    with pytest.raises(InvalidDocumentError, match=r"no column 'text' in \['body'\]"):
        model.predict(pd.DataFrame({"body": ["Ana"]}))


def test_a_folder_without_a_model_is_refused(tmp_path) -> None:
    with pytest.raises(ArtefactError):
        save_model(tmp_path, tmp_path / "out")
