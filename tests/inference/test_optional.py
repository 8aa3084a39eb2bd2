"""Missing extras: one message with the pip command, and other import errors left as they are."""

import sys

import pytest

from nlp_inference._optional import require
from nlp_inference.errors import MissingExtraError


def test_what_is_installed_is_given():
    import json.decoder

    assert require("json.decoder", extra="torch") is json.decoder


@pytest.mark.parametrize("module", ["not_installed_anywhere", "not_installed_anywhere.inner"])
def test_what_is_missing_is_named_with_the_command(module):
    with pytest.raises(MissingExtraError, match=r'pip install "nlp-inference\[serve\]"') as caught:
        require(module, extra="serve")
    assert repr(module) in str(caught.value)
    assert isinstance(caught.value, ImportError)


def test_what_an_installed_module_misses_is_not_blamed_on_the_extra(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import something_it_needs\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_it_needs") as caught:
        require("half_installed", extra="torch")
    assert not isinstance(caught.value, MissingExtraError)
    assert "half_installed" not in sys.modules
