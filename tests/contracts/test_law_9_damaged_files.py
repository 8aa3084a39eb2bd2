"""Law 9: whatever the files of a model say, loading it works or is a clear error: no code, no hang, bounded memory."""

import pytest
from fuzz_artefacts import Case, Worker, cases, fuzz, save_artefacts, table
from fuzz_mutations import damage
from rich.console import Console
from rich.table import Table

MEGABYTES = 1024
"""Of address space, beyond what the process has after loading sound artefacts."""
SECONDS = 20.0
"""Of the wall clock, for one artefact; what is sound takes a tenth of a second."""


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory):
    return save_artefacts(tmp_path_factory.mktemp("fuzz") / "artefacts")


def show(results):
    shown = Table("file", "outcome", "cases")
    for file, outcome, count in table(results):
        shown.add_row(file, outcome, str(count))
    slowest, peak = (max(result.get(key, 0) for result in results) for key in ("seconds", "peak_mb"))
    Console().print(shown, f"slowest {slowest} s, most memory {peak} MB")


def check(results):
    show(results)
    unclear = [
        result for result in results if result["outcome"].partition(" ")[0] in {"UNCLEAR", "CODE", "HANG", "DIED"}
    ]
    assert not unclear, unclear[:5]
    assert {result["outcome"] for result in results} >= {
        "works",
        "ArtefactError",
        "InvalidSpecError",
        "UnknownTypeError",
    }


def test_law_9_damaged_files_give_a_clear_error_or_a_working_processor(artefacts):
    check(fuzz(artefacts, range(180), megabytes=MEGABYTES, seconds=SECONDS))


@pytest.mark.slow
def test_law_9_ten_thousand_damaged_files(artefacts):
    check(fuzz(artefacts, range(1_000, 11_000), megabytes=MEGABYTES, seconds=SECONDS))


def test_the_files_of_every_artefact_are_damaged(artefacts):
    files = {
        *("config.json", "golden.json", "processor_config.json"),
        *("special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"),
    }
    drawn = list(cases(artefacts, range(18)))
    assert {case.artefact for case in drawn} == {"bert", "bpe", "unigram"}
    assert {case.file for case in drawn} == files


def test_the_damage_is_the_same_for_the_same_seed_and_is_damage(artefacts):
    sound = (artefacts / "bert" / "processor_config.json").read_bytes()
    damaged, again = ([damage(sound, seed) for seed in range(200)] for _ in range(2))
    assert damaged == again
    assert len({*damaged, sound}) > 150


SABOTAGE = [
    ("", "works"),
    ("os.system('true')", "CODE ['os.system']"),
    ("pickle.loads(pickle.dumps(print))", "CODE ['pickle.find_class']"),
    ("raise BaseException('boom')", "UNCLEAR BaseException: boom"),
    ("bytearray(8 * 2**30)", "UNCLEAR MemoryError: "),
    ("os.kill(os.getpid(), 9)", "DIED -9"),
    ("time.sleep(60)", "HANG"),
]
SABOTEUR = """
import os, pickle, sys, time
from pathlib import Path
import fuzz_worker

def walk_with(code):
    exec(code)
    return "works"

def outcome_of(folder, name, seed):
    fuzz_worker.walk = lambda folder: walk_with(CODE[seed])
    return sound(folder, name, seed)

CODE, sound = {code!r}, fuzz_worker.outcome_of
fuzz_worker.outcome_of = outcome_of
fuzz_worker.main(Path(sys.argv[1]), int(sys.argv[2]))
"""


def test_the_process_that_loads_them_notices_what_must_not_happen(artefacts, tmp_path):
    script = tmp_path / "saboteur.py"
    script.write_text(SABOTEUR.format(code=[code for code, _ in SABOTAGE]), encoding="utf-8")
    worker = Worker(artefacts, megabytes=MEGABYTES, seconds=5.0, script=script)
    sound = (artefacts / "bert" / "config.json").read_bytes()
    outcomes = [worker.ask(Case("bert", "config.json", seed))["outcome"] for seed in range(len(SABOTAGE))]
    worker.stop()
    assert outcomes == [outcome for _, outcome in SABOTAGE]
    assert (artefacts / "bert" / "config.json").read_bytes() == sound
