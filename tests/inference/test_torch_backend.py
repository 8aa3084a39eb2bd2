"""What is loaded to predict is the whole model, and the one that the processor was saved with."""

from pathlib import Path

import pytest
from tiny_models import tiny_model
from transformers import BertModel

from nlp_inference import Predictor, Processor, TokenClassification
from nlp_inference.errors import ArtefactError, CheckpointMismatchError


def test_a_model_without_its_head_would_predict_at_random(token_processor: Processor, tmp_path: Path) -> None:
    model = tiny_model(token_processor.task)
    token_processor.save_pretrained(tmp_path)
    BertModel(model.config).save_pretrained(tmp_path)
    with pytest.raises(CheckpointMismatchError, match="classifier"):
        Predictor.from_pretrained(tmp_path)


def test_a_model_of_other_labels_is_refused(token_processor: Processor, tmp_path: Path) -> None:
    token_processor.save_pretrained(tmp_path)
    tiny_model(TokenClassification(labels=("CITY", "PERSON"))).save_pretrained(tmp_path)
    with pytest.raises(ArtefactError, match="not saved together"):
        Predictor.from_pretrained(tmp_path)
