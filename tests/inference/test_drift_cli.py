"""`nlp-inference drift`: a table or JSON of what moved, and an exit status."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nlp_inference import Predictor
from nlp_inference.cli import app
from nlp_inference.drift.profile import PROFILE_FILE

runner = CliRunner()

TEXTS = [f"Ana lives in Rome since {year}, and Bo does not" for year in range(1900, 2000)]


@pytest.fixture(scope="module")
def profiled(saved_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained, so to say, on a hundred sentences."""
    folder = tmp_path_factory.mktemp("profiled") / "model"
    shutil.copytree(saved_model, folder)
    predictor = Predictor.from_pretrained(folder)
    predictor.predict(TEXTS)
    predictor.profile().save(folder / PROFILE_FILE)
    return folder


def _drift(*arguments: str | Path, stdin: str | None = None, status: int) -> tuple[str, str]:
    result = runner.invoke(app, ["drift", *map(str, arguments)], input=stdin, env={"COLUMNS": "200"})
    assert result.exit_code == status, result.output
    return result.stdout, result.stderr


def test_texts_like_those_of_training_did_not_move(profiled: Path) -> None:
    shown, _ = _drift(profiled, "-", stdin="\n".join(reversed(TEXTS[:60])), status=0)
    assert "60 documents compared with 100 training documents" in shown
    assert "moved" not in shown.replace("what moved most", "")


def test_texts_of_another_kind_moved_and_the_table_says_where(profiled: Path) -> None:
    shown, _ = _drift(profiled, "-", stdin="\n".join(text.upper() for text in TEXTS[:60]), status=1)
    [line] = [line for line in shown.splitlines() if "characters: A-Z" in line]
    assert "moved" in line
    assert "50%+: 0% -> 100%" in line


def test_as_json(profiled: Path, tmp_path: Path) -> None:
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": f"<p>{text}</p>"}) + "\n" for text in TEXTS))
    shown, _ = _drift(profiled, source, "--json", status=1)
    report = json.loads(shown)
    assert (report["documents_before"], report["documents_now"]) == (100, 100)
    html = next(one for one in report["features"] if one["feature"] == "changed by strip_html")
    assert html["verdict"] == "moved"
    assert {name: (was, now) for name, was, now, _ in html["bins"]} == {"yes": (0.0, 1.0), "no": (1.0, 0.0)}


def test_a_saved_profile_in_place_of_texts_needs_no_model(profiled: Path, tmp_path: Path) -> None:
    shutil.copy(profiled / PROFILE_FILE, tmp_path)
    _drift(tmp_path, "--profile", profiled / PROFILE_FILE, status=0)


def test_documents_that_fail_are_told_and_not_counted(profiled: Path) -> None:
    shown, told = _drift(profiled, "-", stdin="\n".join([*TEXTS[:50], "{bad"]), status=0)
    assert "50 documents compared" in shown
    assert "1 document(s) failed and are not counted, the first: document '<stdin>:51': " in told


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["MODEL", "-"], "", "the profile now has 0 documents"),
        (["MODEL", "no-such-file"], None, "no-such-file"),
        (["MODEL", "--profile", "no-such.json"], None, "cannot read the profile 'no-such.json'"),
        (["BARE", "-"], "Hi\n", "profile.json"),
    ],
)
def test_nothing_to_compare_is_an_error_of_its_own(
    profiled: Path, saved_model: Path, arguments: list[str], stdin: str | None, said: str
) -> None:
    folders = {"MODEL": str(profiled), "BARE": str(saved_model)}
    _, told = _drift(*[folders.get(one, one) for one in arguments], stdin=stdin, status=2)
    assert told.startswith("cannot compare: ")
    assert said in told


@pytest.mark.parametrize("more", [[], ["-", "--profile", "p.json"]])
def test_either_texts_or_a_profile(profiled: Path, more: list[str]) -> None:
    _drift(profiled, *more, status=2)
