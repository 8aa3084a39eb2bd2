"""`nlp-inference predict` from two processes to one output: the second one is refused, whatever its options."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from nlp_inference.cli import app

runner = CliRunner()
HOLD = """
import sys
from pathlib import Path
from nlp_inference._utils.locks import exclusive_lock
with exclusive_lock(Path(sys.argv[1] + ".lock"), purpose="predicting"):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("Ana lives in Rome\n")
    return path


@pytest.fixture(params=["out.jsonl", "out.jsonl.gz", pytest.param("out.parquet", marks=pytest.mark.extra)])
def held(request, tmp_path):
    """An output that another process writes, and that process."""
    output = tmp_path / request.param
    command = [sys.executable, "-c", HOLD, str(output)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        yield output, other
        other.communicate()


@pytest.mark.parametrize("options", [[], ["--overwrite"], ["--resume"], ["--overwrite", "--show"]])
def test_an_output_that_another_process_writes_is_refused(held, source, options):
    output, other = held
    result = runner.invoke(app, ["predict", "no-such-model", str(source), "-o", str(output), *options])
    assert result.exit_code == 1
    assert "OutputLockedError" in result.stderr
    assert f"process {other.pid} on " in result.stderr
    assert "--resume" not in result.stderr
    assert not output.exists()


def test_another_name_of_the_same_output_is_refused(held, source, tmp_path):
    output, other = held
    link = tmp_path / f"link{output.name}"
    link.symlink_to(output)
    result = runner.invoke(app, ["predict", "no-such-model", str(source), "-o", str(link), "--overwrite"])
    assert f"process {other.pid} on " in result.stderr


def test_the_lock_of_a_killed_process_is_free_and_none_is_left(held, source, saved_model):
    output, other = held
    other.kill()
    other.wait()
    result = runner.invoke(app, ["predict", str(saved_model), str(source), "-o", str(output)])
    assert result.exit_code == 0, result.stderr
    assert not output.with_name(f"{output.name}.lock").exists()
    if output.name == "out.jsonl":
        assert json.loads(output.read_text())["raw_text"] == "Ana lives in Rome"


def test_a_device_and_standard_output_need_no_lock(source, saved_model):
    for options in (["-o", os.devnull], []):
        assert runner.invoke(app, ["predict", str(saved_model), str(source), *options]).exit_code == 0
