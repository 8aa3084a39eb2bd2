"""A fingerprint in the settings of a saved model: the same bytes as if the processor had been saved with it."""

from pathlib import Path

import pytest

from nlp_inference import Processor
from nlp_inference._utils import atomic_files as _whole_files
from nlp_inference.processor.fingerprint import Fingerprint
from nlp_training.artefact.folder import SETTINGS_FILE, write_fingerprint

OLD = Fingerprint(weights={"model.safetensors": "0" * 64}, unicode="14.0.0")
NEW = Fingerprint(
    weights={"model.safetensors": "1" * 64},
    packages={"numpy": "2.0", "häuser": "1"},
    exports={"model.onnx": "2" * 64},
    unicode="15.0.0",
)


@pytest.mark.parametrize("before", [None, OLD])
def test_the_file_is_to_the_byte_what_saving_the_processor_writes(
    token_processor: Processor, tmp_path: Path, before: Fingerprint | None
) -> None:
    labels = ("MÜNCHEN", "人", "PERSON")
    processor = Processor(token_processor.tokenizer, {"token-classification": {"labels": labels}}, ["strip_html"])
    processor.with_fingerprint(before).save_pretrained(tmp_path / "written")
    processor.with_fingerprint(NEW).save_pretrained(tmp_path / "saved")
    write_fingerprint(tmp_path / "written", NEW)
    written, saved = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("written", "saved")
    )
    assert written == saved
    assert b'"fingerprint"' in written[SETTINGS_FILE]
    assert Processor.from_pretrained(tmp_path / "written", fingerprint=None).task == processor.task


def test_a_process_that_dies_leaves_the_old_settings(
    token_processor: Processor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_processor.save_pretrained(tmp_path)
    before = (tmp_path / SETTINGS_FILE).read_bytes()

    def die(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_whole_files.os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        write_fingerprint(tmp_path, NEW)
    assert (tmp_path / SETTINGS_FILE).read_bytes() == before
