"""Where the model of a run is, and what its settings say of it."""

import json
from pathlib import Path

from nlp_inference._utils.atomic_files import write_whole
from nlp_inference.errors import ArtefactError
from nlp_inference.processor.fingerprint import Fingerprint

SETTINGS_FILE = "processor_config.json"
"""What every saved model has, and no other folder of a run."""


def model_folder(run: str | Path) -> Path:
    """The folder of a run's model.

    Args:
        run: the folder of the run, or that of its model.

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
        f"there is no model in {str(run)!r}: neither it nor its folder 'model' holds a {SETTINGS_FILE}; give the "
        "folder of a run that nlp-training finished"
    )


def model_or_hub_id(given: str) -> str:
    """The folder of a run's model where the folder of the run is given; any other folder and a Hub id as they are.

    Example:
        >>> model_or_hub_id("org/model")
        'org/model'
    """
    return str(model_folder(given)) if (Path(given) / "model" / SETTINGS_FILE).is_file() else given


def write_fingerprint(folder: Path, fingerprint: Fingerprint) -> None:
    """Write a fingerprint into the settings of a saved model, whole or not at all; all else in the file stays.

    The file is then, to the byte, the one that `save_pretrained` writes of the processor with this fingerprint.

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
    write_whole(path, json.dumps(settings, indent=2, sort_keys=True) + "\n")  # as ProcessorMixin.to_json_string
