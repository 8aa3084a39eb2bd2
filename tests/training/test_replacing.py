"""A folder is replaced as a whole or not at all."""

from pathlib import Path

import pytest

from nlp_training._utils.replacing import replacing_folder


def _write(target: Path, content: str) -> None:
    with replacing_folder(target) as folder:
        (folder / "weights").write_text(content)


def test_a_new_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "model"
    with replacing_folder(target) as folder:
        (folder / "weights").write_text("new")
        assert not target.exists()
    assert (target / "weights").read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_an_old_folder_is_replaced_and_leaves_no_file_behind(tmp_path: Path) -> None:
    target = tmp_path / "model"
    _write(target, "old")
    (target / "stale").write_text("from the old model")
    _write(target, "new")
    assert {path.name: path.read_text() for path in target.iterdir()} == {"weights": "new"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_a_failure_leaves_the_old_folder_whole(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "model"
    _write(target, "old")
    with pytest.raises(error), replacing_folder(target) as folder:
        (folder / "weights").write_text("ne")
        raise error
    assert (target / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_death_between_the_two_renames_is_repaired_by_the_next_call(tmp_path: Path) -> None:
    target = tmp_path / "model"
    _write(target, "old")
    target.rename(tmp_path / ".model-old")
    with pytest.raises(RuntimeError), replacing_folder(target):
        assert (target / "weights").read_text() == "old"
        raise RuntimeError
    assert (target / "weights").read_text() == "old"


def test_a_death_before_the_old_folder_is_removed_is_repaired_by_the_next_call(tmp_path: Path) -> None:
    target = tmp_path / "model"
    _write(target, "new")
    (tmp_path / ".model-old").mkdir()
    (tmp_path / ".model-old" / "weights").write_text("old")
    _write(target, "newer")
    assert (target / "weights").read_text() == "newer"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failed_rename_leaves_the_old_folder_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "model"
    _write(target, "old")
    rename = Path.rename

    def fail_for_the_new(self: Path, name: Path) -> Path:
        if "-new-" in self.name:
            raise OSError(28, "No space left on device")
        return rename(self, name)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(OSError, match="No space"):
        _write(target, "new")
    assert (target / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
