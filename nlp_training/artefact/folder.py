"""The folder of a run's model and its settings file."""

import json
from pathlib import Path

from nlp_inference._utils.atomic_files import write_atomically
from nlp_inference.errors import ArtefactError
from nlp_inference.processor.fingerprint import Fingerprint

SETTINGS_FILE = "processor_config.json"
"""A file that every saved model has, and no other folder of a run."""


def model_folder(run: str | Path) -> Path:
    """Return the folder of a run's model.

    Args:
        run: the folder of the run, or the folder of its model.

    Raises:
        ArtefactError: there is no model.

    Example:
        >>> model_folder("runs/not-there")
        Traceback (most recent call last):
        nlp_inference.errors.ArtefactError: there is no model in 'runs/not-there': neither it nor its folder ...
    """
    for folder in (Path(run), Path(run) / "model"):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    raise ArtefactError(
        f"there is no model in {str(run)!r}: neither it nor its folder 'model' contains a {SETTINGS_FILE}; pass the "
        "folder of a finished run"
    )


def model_or_hub_id(given: str) -> str:
    """Return the model folder if the folder of a run is given, and any other folder or Hub id unchanged.

    Example:
        >>> model_or_hub_id("org/model")
        'org/model'
    """
    return str(model_folder(given)) if (Path(given) / "model" / SETTINGS_FILE).is_file() else given


def write_fingerprint(folder: Path, fingerprint: Fingerprint) -> None:
    """Write a fingerprint into the settings file of a saved model atomically, without changing other settings.

    The file is then identical to the one that `save_pretrained` writes for the processor with this fingerprint.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / SETTINGS_FILE).write_text('{"task": "text-classification"}')
        ...     write_fingerprint(Path(folder), Fingerprint(unicode="15.0.0"))
        ...     sorted(json.loads((Path(folder) / SETTINGS_FILE).read_text()))
        ['fingerprint', 'task']
    """
    path = folder / SETTINGS_FILE
    settings = json.loads(path.read_text(encoding="utf-8")) | {"fingerprint": fingerprint.model_dump(mode="json")}
    write_atomically(path, json.dumps(settings, indent=2, sort_keys=True) + "\n")  # as ProcessorMixin.to_json_string
