"""text_transform: a plain function on texts becomes an aligned, registered transform."""

import json
import pickle
import shutil
import subprocess
import sys

import pytest

from nlp_inference.document import Document
from nlp_inference.errors import CheckFailedError, InvalidEditError, InvalidSpecError
from nlp_inference.testing._laws import check_identity
from nlp_inference.transforms import Compose, FunctionTransform, Transform, text_transform


@text_transform(name="test_expand_titles", version=3)
def expand_titles(text: str) -> str:
    """Write titles out."""
    return text.replace("Dr.", "Doctor").replace("Mr.", "Mister")


@text_transform(name="test_returns_bytes")
def returns_bytes(text: str) -> str:
    return text.encode()  # type: ignore[return-value]  # the mistake under test


def test_the_edits_are_found_by_a_diff():
    document = expand_titles(Document(raw_text="Dear Dr. Ana, dear Mr. Bo"))
    assert document.text == "Dear Doctor Ana, dear Mister Bo"
    assert (document.edits[0].transform, document.edits[0].version) == ("test_expand_titles", 3)
    start = document.text.index("Ana")
    assert document.aligned.to_raw(start, start + 3) == (9, 12)


def test_it_is_still_a_function_of_texts():
    assert expand_titles("Mr. Bo") == "Mister Bo"
    assert type(expand_titles).__doc__ == "Write titles out."


def test_it_is_saved_by_name():
    chain = Compose([expand_titles, "collapse_whitespace"])
    assert chain.to_spec() == ["test_expand_titles", "collapse_whitespace"]
    assert Compose(chain.to_spec()) == chain
    assert Transform.from_spec("test_expand_titles") == expand_titles
    assert chain(Document(raw_text="Mr.  Bo")).text == "Mister Bo"


def test_it_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(expand_titles)) is expand_titles  # noqa: S301 - our own object


def test_what_a_specification_makes_can_be_sent_to_another_process():
    made = Transform.from_spec("test_expand_titles")
    assert made is not expand_titles
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - our own object


def test_a_function_inside_a_function_cannot_be_pickled_and_says_why():
    @text_transform(name="test_local_transform")
    def local(text: str) -> str:
        return text

    with pytest.raises(pickle.PicklingError, match=r"'test_local_transform', cannot be pickled: .* at the top of a"):
        pickle.dumps(local)


class PickledByItsName(FunctionTransform):
    """Can be pickled as the one object that its module holds, and not as what a specification makes."""

    name = "test_pickled_by_its_name"
    function = staticmethod(str.lower)

    def __reduce__(self):
        return "pickled_by_its_name"


pickled_by_its_name = PickledByItsName()


def test_checks_try_what_a_specification_makes():
    check_identity(expand_titles, Transform)
    pickle.dumps(pickled_by_its_name)
    with pytest.raises(CheckFailedError, match="breaks the law 'it can be pickled'"):
        check_identity(pickled_by_its_name, Transform)


SPAWNED = """
import multiprocessing, sys
from nlp_inference import Predictor
def ends(predictor):
    return [document.text for document in predictor.predict(["Mr. Bo in Rome"])]
if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    import titles_of_a_test
    predictor = Predictor.from_pretrained(sys.argv[1])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(ends, [predictor])[0])
"""
TITLES = """
from nlp_inference.transforms import text_transform
@text_transform(name="titles_of_a_test")
def expand(text):
    return text.replace("Mr.", "Mister")
"""


def test_a_predictor_with_a_function_works_in_a_spawned_process(saved_model, tmp_path):
    (tmp_path / "titles_of_a_test.py").write_text(TITLES, encoding="utf-8")
    (tmp_path / "spawned.py").write_text(SPAWNED, encoding="utf-8")
    folder = shutil.copytree(saved_model, tmp_path / "model")
    settings = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))
    settings["preprocess"] = ["titles_of_a_test"]
    (folder / "processor_config.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, str(tmp_path / "spawned.py"), str(folder), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.strip() == "['Mister Bo in Rome']", done.stderr[-2000:]


def test_a_result_that_is_no_text_is_refused():
    with pytest.raises(InvalidEditError, match="'test_returns_bytes' returned b'x'; its function must return a str"):
        returns_bytes(Document(raw_text="x"))


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(InvalidSpecError, match="the transform name 'lowercase' is already registered by"):
        text_transform(name="lowercase")(lambda text: text.lower())
