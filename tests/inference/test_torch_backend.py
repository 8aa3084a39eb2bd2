"""What is loaded to predict is the whole model, and the one that the processor was saved with."""

import json
import shutil
import threading
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from tiny_models import tiny_model
from tokenizer_kinds import make_tokenizer
from transformers import AutoModelForSequenceClassification, BartConfig, BertModel, PreTrainedConfig, T5Config

from nlp_inference import Document, Predictor, Processor, TextClassification, TokenClassification
from nlp_inference.architectures.checkpoint_files import find_weight_files
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.errors import ArtefactError, CheckpointMismatchError
from nlp_inference.processor.fingerprint import Fingerprint

pytestmark = pytest.mark.extra


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


def test_each_of_two_workers_computes_on_its_share_of_the_threads(saved_model: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Predictor.from_pretrained(saved_model, backend="torch", token_budget=8) as predictor:
            forward, seen = predictor.backend.forward, []

            def watched(batch):
                outputs = forward(batch)
                seen.append((threading.current_thread().name[:-2], torch.get_num_threads()))
                return outputs

            predictor.backend.forward = watched
            predictor.predict(["Ana lives in Rome."] * 4)
            assert set(seen) == {("nlp-worker", 1)}
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def _with_adapter(processor: Processor, folder: Path, *, named: bool) -> Path:
    """A model with an adapter beside it, which the fingerprint names or not."""
    model = tiny_model(processor.task)
    model.save_pretrained(folder)
    model.add_adapter(LoraConfig(r=1, target_modules=["query"]))
    model.save_pretrained(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": str(folder)}))
    adapter = [folder / "adapter_config.json", folder / "adapter_model.safetensors"]
    weights = [*find_weight_files(folder), *(adapter if named else [])]
    fingerprint = Fingerprint.of(processor, weights=weights, runtime="torch")
    processor.with_fingerprint(fingerprint).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_beside_the_weights_is_refused(
    saved_model: Path, tmp_path: Path, name: str, *, trusted: bool
) -> None:
    folder = shutil.copytree(saved_model, tmp_path / "model")
    (folder / name).write_text("{}")
    with pytest.raises(ArtefactError, match=rf"an adapter \({name}\), which .* merge it into the weights"):
        Predictor.from_pretrained(folder, trust_remote_code=trusted)


def test_an_adapter_that_the_fingerprint_names_is_checked_as_weights_are(
    token_processor: Processor, tmp_path: Path
) -> None:
    Predictor.from_pretrained(_with_adapter(token_processor, tmp_path / "named", named=True))
    (tmp_path / "named" / "adapter_model.safetensors").write_text("{} ")
    with pytest.raises(ArtefactError, match=r"other weights: 'adapter_model\.safetensors' has sha256"):
        Predictor.from_pretrained(tmp_path / "named")
    with pytest.raises(ArtefactError, match=r"an adapter \(adapter_config\.json, adapter_model\.safetensors\)"):
        Predictor.from_pretrained(_with_adapter(token_processor, tmp_path / "strange", named=False))


_LAYERS = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
_BART = BartConfig(d_model=16, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=64, **_LAYERS)
_T5 = T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)


@pytest.mark.parametrize("config", [_BART, _T5], ids=["BART", "T5"])
def test_rows_with_other_numbers_of_ends_of_text_do_not_share_a_batch(config: PreTrainedConfig) -> None:
    """A classifier with a decoder reads the last end of text, of which a text pair has more than a text."""
    tokenizer, task = make_tokenizer("roberta"), TextClassification(labels=("ham", "spam"))
    ids = {"vocab_size": len(tokenizer), "pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 3}
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(
        type(config)(**{**config.to_diff_dict(), **ids, **task.model_settings()})
    )
    predictor = Predictor(Processor(tokenizer, task), TorchBackend(model.eval(), task=task))
    documents = [
        Document(raw_text="Ana"),
        Document(raw_text="Ana", raw_text_pair="Rome"),
        Document(raw_text="A [SEP] b"),
    ]
    together = [one.predicted.categories[0].score for one in predictor.predict(documents)]
    alone = [predictor.predict(one).predicted.categories[0].score for one in documents]
    assert together == pytest.approx(alone, abs=1e-6)
    assert len(set(alone)) == 3
    assert not predictor.backend.rows_apart
