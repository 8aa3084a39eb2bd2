"""The check that a resumed run has the same configuration, data and code as the stopped run."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nlp_inference.errors import InvalidSpecError
from nlp_training.config import RunConfig, load_config
from nlp_training.provenance.manifest import CONFIG_FILE, MANIFEST_FILE, DataPrint, RunManifest
from nlp_training.provenance.module_files import module_digests
from nlp_training.runs.record import without_resuming

_SHOWN = 5


def check_same_run(config: RunConfig, data: Mapping[str, DataPrint], *, world_size: int) -> None:
    """Compare a run with the stopped run in its folder.

    Args:
        config: the resolved configuration.
        data: the digests of its documents.
        world_size: the number of its processes.

    Raises:
        InvalidSpecError: a difference would change the result.
    """
    if not (config.folder / MANIFEST_FILE).is_file() or not (config.folder / CONFIG_FILE).is_file():
        raise InvalidSpecError(
            f"{str(config.folder)!r} contains checkpoints, but no {MANIFEST_FILE} that identifies their run; "
            "to replace them, train with --overwrite instead of --resume"
        )
    stopped = RunManifest.load(config.folder)
    changes = list(config_changes(load_config(config.folder / CONFIG_FILE), without_resuming(config)))
    changes += [
        f"the documents of {name}" for name in {**stopped.data, **data} if stopped.data.get(name) != data.get(name)
    ]
    modules = module_digests(config.modules)
    changes += [
        f"the file {name}" for name in {**stopped.modules, **modules} if stopped.modules.get(name) != modules.get(name)
    ]
    if stopped.world_size != world_size:
        changes.append(f"processes {stopped.world_size} -> {world_size}")
    if changes:
        more = f", and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
        raise InvalidSpecError(
            f"the run in {str(config.folder)!r} cannot be resumed because this has changed: "
            f"{', '.join(changes[:_SHOWN])}{more}; undo it, replace the run with --overwrite instead of --resume, or "
            "continue from its last checkpoint anyway with training.resume_from_checkpoint=true"
        )


def config_changes(old: RunConfig, new: RunConfig) -> Iterator[str]:
    """Name the keys that differ, as `key old -> new`.

    Example:
        >>> old = load_config("configs/quickstart.yaml")
        >>> list(config_changes(old, load_config("configs/quickstart.yaml", ["seed=1", "training.warmup_steps=0"])))
        ['seed 42 -> 1', 'training.warmup_steps 0.1 -> 0']
    """
    before, after = flat_config(old), flat_config(new)
    for key in {**before, **after}:
        if before.get(key) != after.get(key):
            yield f"{key} {before.get(key, 'nothing')} -> {after.get(key, 'nothing')}"


def flat_config(config: RunConfig) -> dict[str, str]:
    """Return every value by its dotted key, such as `training.learning_rate`."""
    return _flat(config.model_dump(mode="json", exclude_none=True))


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return found
