"""The examples in the documentation of every module of `nlp_training` run and give what they say."""

import pytest
from doc_examples import failed_examples, modules_of, skipped_without_the_hub

import nlp_training


@pytest.mark.parametrize("name", modules_of(nlp_training))
def test_the_examples_run(name, capsys):
    assert failed_examples(name) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", modules_of(nlp_training))
def test_only_examples_that_need_the_hub_are_skipped(name):
    assert skipped_without_the_hub(name) == []
