"""A fresh process that publishes to and loads from a Hub, and says what came of it; asked by lines of JSON.

The address of the Hub and offline mode are read when huggingface_hub is imported, so that tests cannot set them for
their own process.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class ClientError(Exception):
    """What the other process raised: the name of the error and its message."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class Client:
    """Calls the functions below in a process of its own."""

    def __init__(self, endpoint: str, home: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
                "HF_ENDPOINT": endpoint,
                "HF_HOME": str(home),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "NO_PROXY": "127.0.0.1,localhost",
                "OMP_NUM_THREADS": "1",
                "TOKENIZERS_PARALLELISM": "false",
                **environment,
            },
        )

    def __call__(self, function: str, *arguments: Any, **options: Any) -> Any:
        """Call a function there.

        Raises:
            ClientError: it raised something.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([function, arguments, options]) + "\n")
        self.process.stdin.flush()
        outcome = json.loads(self.process.stdout.readline())
        if "error" in outcome:
            raise ClientError(*outcome["error"])
        return outcome["value"]

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()  # at the end of its input it would end as well, but slowly
        self.process.wait(timeout=30)
        self.process.stdin.close()
        self.process.stdout.close()


def publish(run: str, repo_id: str, **options: Any) -> dict[str, Any]:
    from dataclasses import asdict

    from nlp_training.release.plan import plan_release
    from nlp_training.release.publish import publish

    return asdict(publish(plan_release(run, repo_id), **options))


def publish_while_a_training_ends(run: str, other: str, repo_id: str) -> dict[str, Any]:
    """Between the checks and the commit, another model takes the place of the run's."""
    from dataclasses import asdict

    from nlp_training.release.plan import plan_release
    from nlp_training.release.publish import publish

    plan = plan_release(run, repo_id)
    Path(run).rename(f"{run}-old")
    Path(other).rename(run)
    return asdict(publish(plan))


def predict(model: str, *texts: str, **options: Any) -> list[Any]:
    from nlp_inference import Predictor

    predicted = Predictor.from_pretrained(model, device="cpu", **options).predict(texts)
    return [document.predicted.model_dump(mode="json") for document in predicted]


def task(model: str, **options: Any) -> dict[str, Any]:
    from nlp_inference import Processor

    return Processor.from_pretrained(model, **options).task.model_dump(mode="json")


def auto_task(model: str, **options: Any) -> dict[str, Any]:
    from transformers import AutoProcessor

    from nlp_inference import Processor  # noqa: F401 - registers it with AutoProcessor

    return AutoProcessor.from_pretrained(model, **options).task.model_dump(mode="json")


def weights_sha256(model: str, **options: Any) -> str:
    """What a download of the weights holds."""
    import hashlib

    from nlp_inference.hub import WEIGHT_FILES, artefact_folder

    file = artefact_folder(model, files=WEIGHT_FILES, **options) / "model.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def weights(model: str, **options: Any) -> list[str]:
    """The names of the weights that `load_checkpoint` loads."""
    from tiny_models import LABELS, tiny_model

    from nlp_inference import TokenClassification
    from nlp_inference.architectures import load_checkpoint

    return list(load_checkpoint(tiny_model(TokenClassification(labels=LABELS)), model, **options).loaded)


def pipeline(model: str, text: str) -> list[str]:
    """What plain transformers does with the model."""
    import transformers

    return [found["word"] for found in transformers.pipeline("token-classification", model=model)(text)]


def fetch(model: str, **options: Any) -> dict[str, str]:
    """The digest of every file of a download."""
    from nlp_inference._utils.digests import file_digest
    from nlp_inference.hub import SETTINGS_FILES, WEIGHT_FILES, artefact_folder

    folder = artefact_folder(model, files=(*SETTINGS_FILES, *WEIGHT_FILES), **options)
    return {path.name: file_digest(path) for path in sorted(folder.iterdir())}


def push_processor(folder: str, repo_id: str, *, fingerprint: dict[str, Any] | None = None) -> None:
    from nlp_inference import Processor

    Processor.from_pretrained(folder, fingerprint=fingerprint).push_to_hub(repo_id)


def find_commit(hub_id: str, revision: str | None = None) -> str | None:
    from nlp_training.data import hub_commits

    return hub_commits.find_commit(hub_id, revision)


def texts(source: dict[str, Any], *, streaming: bool) -> list[str]:
    """What the documents of a data source say."""
    from nlp_training.data.sources import load_documents, stream_documents

    return [document.raw_text for document in (stream_documents if streaming else load_documents)(source)]


def command(*arguments: str) -> dict[str, Any]:
    """What `nlp-training` prints and how it exits."""
    from typer.testing import CliRunner

    from nlp_training.cli import app

    result = CliRunner().invoke(app, arguments)
    return {"exit": result.exit_code, "out": result.stdout, "err": result.stderr}


def main() -> None:
    loading = (predict, task, auto_task, weights, weights_sha256, fetch, pipeline)
    reading = (find_commit, texts)
    offered = (publish, publish_while_a_training_ends, push_processor, command, *loading, *reading)
    functions = {one.__name__: one for one in offered}
    answers, sys.stdout = sys.stdout, sys.stderr
    import nlp_training.release.publish  # noqa: F401 - while the test prepares something else

    for line in sys.stdin:
        function, arguments, options = json.loads(line)
        try:
            outcome = {"value": functions[function](*arguments, **options)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is told
            outcome = {"error": [type(error).__name__, str(error)]}
        answers.write(json.dumps(outcome) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
