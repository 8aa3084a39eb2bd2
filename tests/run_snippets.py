"""Run Python scripts, each in its own process, which is forked after the slow imports.

Reads a JSON list of `{"script", "folder"}` from standard input, and prints a list of `{"status", "errors"}`.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import transformers  # noqa: F401

import nlp_training.runs  # noqa: F401


def run(script: str, folder: Path) -> dict[str, object]:
    errors = folder / "errors.txt"
    child = os.fork()
    if not child:
        status = 1
        try:
            os.chdir(folder)
            output = os.open(errors, os.O_WRONLY | os.O_CREAT)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.path.insert(0, "")
            exec(compile(script, "snippets", "exec"), vars(sys.modules["__main__"]))  # noqa: S102 - of the documentation
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, the parent shows it
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return {"status": os.waitpid(child, 0)[1], "errors": errors.read_text(encoding="utf-8", errors="replace")}


if __name__ == "__main__":
    sys.stdout.write(json.dumps([run(one["script"], Path(one["folder"])) for one in json.load(sys.stdin)]))
