"""The `training.yaml` of a release, without local paths."""

from pathlib import Path, PurePosixPath, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import Any

from nlp_training.config import RunConfig, load_config, save_config


def published_configuration(path: Path) -> bytes:
    """Return the configuration of a run with file names instead of paths of this machine.

    Raises:
        InvalidSpecError: the file is not a valid configuration.
    """
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        save_config(without_local_paths(load_config(path)), copy)
        return copy.read_bytes()


def without_local_paths(config: RunConfig) -> RunConfig:
    """Return the configuration with the last component of every absolute path.

    The section `processor` is unchanged because it affects predictions, and a pattern may look like a path.

    Example:
        >>> config = RunConfig.model_validate({
        ...     "name": "demo", "output_dir": "/home/ana/runs", "model": {"base": "org/base"},
        ...     "data": {"train": "/home/ana/train.jsonl"}, "processor": {"task": "text-classification"},
        ... })
        >>> found = without_local_paths(config)
        >>> found.output_dir, found.model.base, found.data.train.path
        ('runs', 'org/base', 'train.jsonl')
    """
    content = config.model_dump(mode="json", exclude_none=True)
    elsewhere = {key: _without_paths(value) for key, value in content.items() if key != "processor"}
    return RunConfig.model_validate({**content, **elsewhere})


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_paths(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_paths(one) for one in value]
    return _name_of(value) if isinstance(value, str) else value


def _name_of(value: str) -> str:
    """Return the last component of an absolute path or of one outside the folder; other values are unchanged."""
    path = PureWindowsPath(value) if PureWindowsPath(value).drive or "\\" in value else PurePosixPath(value)
    return path.name or value if path.is_absolute() or value.startswith("~") or ".." in path.parts else value
