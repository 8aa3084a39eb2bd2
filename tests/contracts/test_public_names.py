"""The public names of both packages, and their version. A change here is a change of the public interface."""

import importlib.metadata
import subprocess
import sys

import pytest

import nlp_inference
import nlp_training

INFERENCE = [
    "Annotation",
    "Backend",
    "Category",
    "CheckpointReport",
    "Compose",
    "Coverage",
    "CrfTokenClassification",
    "Document",
    "EncodedDocument",
    "FailedDocument",
    "HierarchicalClassification",
    "MultiLabelClassification",
    "MultiTask",
    "OrdinalRegression",
    "PostTransform",
    "Predictor",
    "Processor",
    "QuestionAnswering",
    "Relation",
    "RelationExtraction",
    "Span",
    "SpanClassification",
    "Task",
    "TextClassification",
    "TextGeneration",
    "TextRegression",
    "TokenClassification",
    "Transform",
    "load_checkpoint",
    "read_golden",
    "record_golden",
    "redact",
    "verify",
]
TRAINING = [
    "DocumentCollator",
    "DocumentTrainer",
    "RunConfig",
    "RunResult",
    "load_config",
    "load_documents",
    "read_jsonl",
    "train",
]
both = pytest.mark.parametrize(
    ("package", "names"), [(nlp_inference, INFERENCE), (nlp_training, TRAINING)], ids=["nlp_inference", "nlp_training"]
)
packages = pytest.mark.parametrize("package", [nlp_inference, nlp_training], ids=lambda package: package.__name__)


@both
def test_the_public_names_are_these(package, names):
    assert sorted(package.__all__) == names


@both
def test_every_public_name_loads_and_is_listed(package, names):
    assert {*names, "__version__"} <= set(dir(package))
    for name in names:
        loaded = getattr(package, name)
        assert loaded.__name__ == name
        assert loaded.__module__.startswith(package.__name__)


@packages
def test_another_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'Predicator'"):
        _ = package.Predicator


@packages
def test_the_version_is_that_of_the_distribution(package):
    assert package.__version__ == importlib.metadata.version("nlp-inference")


@packages
def test_the_version_is_unknown_where_there_is_no_metadata(package, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("nlp_inference._utils.version.version", missing)
    assert package.__version__ == "unknown"


def test_the_version_loads_no_model_library():
    code = "import sys, nlp_inference; nlp_inference.__version__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "transformers", "pydantic", "numpy"}.isdisjoint(done.stdout.split())
