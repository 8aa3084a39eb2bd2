"""Saving a processor as `processor_config.json`, next to the tokenizer's files, and loading it."""

import json
from collections.abc import Sequence
from inspect import signature
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self

from transformers import ProcessorMixin
from transformers.utils import PROCESSOR_NAME

from nlp_inference._utils.foreign_errors import as_artefact_errors
from nlp_inference._utils.saved_files import read_saved_file
from nlp_inference.architectures.config_sizes import check_config_file
from nlp_inference.encoding.tokenization import plain_backend
from nlp_inference.encoding.tokenizer_file import warn_of_rebuilt_tokenizer
from nlp_inference.errors import ArtefactError, PublishError
from nlp_inference.hub import PROCESSOR_NEEDS, SETTINGS_FILES, artefact_folder
from nlp_inference.processor.custom_code import save_sources, with_custom_types
from nlp_inference.processor.fingerprint import Fingerprint, as_fingerprint, warn_of_changes
from nlp_inference.registry import Registered
from nlp_inference.tasks import Task
from nlp_inference.tasks.base import with_words_of_format_1
from nlp_inference.transforms.base import PostTransform, Transform
from nlp_inference.transforms.compose import Compose

_LOADING = frozenset(
    {"trust_remote_code", "code_revision", "cache_dir", "force_download", "local_files_only", "token", "revision"}
)
"""Arguments of `from_pretrained` that only control loading."""

_DESCRIPTION = frozenset({"processor_class", "auto_map", "custom"})
"""Keys of `processor_config.json` that state the origin of classes, and are not settings."""


class SavedProcessor(ProcessorMixin):
    """The methods of a `Processor` that transformers calls to save and load it, possibly from an untrusted source."""

    task: Task
    preprocess: Compose[Transform]
    postprocess: Compose[PostTransform]
    fingerprint: Fingerprint | None

    def members(self) -> tuple[Registered, ...]:
        """Return everything that is saved by name: the task and the transforms."""
        return (self.task, *self.preprocess, *self.postprocess)

    def to_json_file(self, json_file_path: str | PathLike[str]) -> None:
        """Write `processor_config.json`, and next to it the source of classes that are saved with the model.

        `save_pretrained` calls this method before `push_to_hub` collects new files.
        """
        save_sources(self.members(), Path(json_file_path).parent)
        super().to_json_file(json_file_path)

    def save_pretrained(self, save_directory: str | PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """Write `processor_config.json` and the tokenizer's files; see `ProcessorMixin.save_pretrained`.

        Raises:
            ArtefactError: a subclass has arguments that `to_dict` does not return, so they would be lost.
            PublishError: `push_to_hub` is set, and the processor belongs to a model; see `push_to_hub`.
        """
        if kwargs.get("push_to_hub") or (args and args[0]):
            self._refuse_to_be_pushed_alone()
        absent = {"fingerprint"} if self.fingerprint is None else set()
        lost = sorted(set(self._settings()) - set(self.to_dict()) - absent)
        if lost:
            raise ArtefactError(
                f"{type(self).__name__} has the arguments {lost!r}, which its to_dict does not return, so saving would "
                "lose them; add them to to_dict"
            )
        return super().save_pretrained(save_directory, *args, **kwargs)

    def push_to_hub(self, repo_id: str, *args: Any, **kwargs: Any) -> str:
        """Upload a processor that has no model yet; see `ProcessorMixin.push_to_hub`.

        Raises:
            PublishError: the processor has a fingerprint, so it belongs to a model and is only published with it.
        """
        self._refuse_to_be_pushed_alone()
        url: str = super().push_to_hub(repo_id, *args, **kwargs)
        return url

    def _refuse_to_be_pushed_alone(self) -> None:
        """Raise an error if the processor belongs to a model, because the result would be an unverified model."""
        if self.fingerprint is not None:
            raise PublishError(
                "this processor belongs to a finished model, and pushing it alone skips verification; publish the "
                "model with: nlp-training publish RUN org/model. To push a processor without a model: "
                "processor.with_fingerprint(None).push_to_hub(...)"
            )

    @classmethod
    def _settings(cls) -> list[str]:
        """Return the names of the arguments that are saved in `processor_config.json`."""
        return [name for name in signature(cls).parameters if name != "tokenizer"]

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | PathLike[str],
        cache_dir: str | PathLike[str] | None = None,
        force_download: bool = False,  # noqa: FBT001, FBT002 - as in transformers
        local_files_only: bool = False,  # noqa: FBT001, FBT002 - as in transformers
        token: str | bool | None = None,  # noqa: FBT001 - as in transformers
        revision: str = "main",
        *,
        trust_remote_code: bool | None = False,
        **kwargs: Any,
    ) -> Self:
        """Load a processor from a folder or the Hub; see `ProcessorMixin.from_pretrained`.

        Args:
            pretrained_model_name_or_path: a folder or a Hub id.
            cache_dir: the download folder, in place of the Hub's default cache.
            force_download: whether to download files again that are in the cache.
            local_files_only: whether to use only downloaded files, without network access.
            token: the token for a private model on the Hub.
            revision: branch, tag or commit on the Hub.
            trust_remote_code: whether code that was saved with the model may run: custom transforms and tasks, and
                the tokenizer's class. The code comes from the same revision. Read it before you trust it.
            **kwargs: settings to replace, such as `windows`.

        Warns:
            FingerprintWarning: a transform, a package that affects predictions, `config.json` or a tokenizer file has
                changed since the processor was saved.
            TokenizerWarning: the tokenizer that transformers builds differs from `tokenizer.json`.

        Raises:
            ArtefactError: there is no such processor, its download is incomplete, or one of its files is damaged.
            UnknownTypeError: it uses a transform or a task that is not installed, and its code is not trusted.
        """
        folder = artefact_folder(
            fspath(pretrained_model_name_or_path),
            files=SETTINGS_FILES,
            needed=PROCESSOR_NEEDS,
            revision=revision,
            token=token,
            cache_dir=None if cache_dir is None else fspath(cache_dir),
            local_files_only=local_files_only,
            force_download=force_download,
        )
        with as_artefact_errors(f"the processor of {str(pretrained_model_name_or_path)!r}"):
            check_config_file(folder, source=str(pretrained_model_name_or_path))  # because transformers reads it
            loaded: Self = super().from_pretrained(folder, trust_remote_code=bool(trust_remote_code), **kwargs)
            _check_unknown_token(loaded.tokenizer)
            warn_of_rebuilt_tokenizer(
                loaded.tokenizer, folder / "tokenizer.json", source=str(pretrained_model_name_or_path)
            )
        if loaded.fingerprint is not None:
            changes = loaded.fingerprint.changes(loaded, folder=folder, replaced=kwargs)
            warn_of_changes(changes, source=str(pretrained_model_name_or_path))
        return loaded

    @classmethod
    def get_processor_dict(
        cls, pretrained_model_name_or_path: str | PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read `processor_config.json` of a folder; called by `from_pretrained`.

        The method of `ProcessorMixin` would also read other files, and load any model that they name.

        Raises:
            ArtefactError: the file cannot be read, or is not a JSON object.
            UnknownTypeError: it uses a transform or a task that is not installed, and its code is not trusted.
        """
        folder = Path(pretrained_model_name_or_path)
        config = _read_config(folder / PROCESSOR_NAME)
        fingerprint = as_fingerprint(config.get("fingerprint"))
        if fingerprint is not None:
            fingerprint.check_settings(folder, source=str(pretrained_model_name_or_path))
            config["fingerprint"] = fingerprint
        trusted = bool(kwargs.get("trust_remote_code"))
        return with_custom_types(config, folder, trusted=trusted, replaced=kwargs), kwargs

    @classmethod
    def from_args_and_dict(cls, args: Sequence[Any], processor_dict: dict[str, Any], **kwargs: Any) -> Self:
        """Build a processor from its tokenizer and its saved settings; called by `from_pretrained`.

        Raises:
            ArtefactError: the settings are missing or unknown to this library.
        """
        saved = {key: value for key, value in processor_dict.items() if key not in _DESCRIPTION}
        unknown = sorted(set(saved) - set(cls._settings()))
        if "task" not in saved or unknown:
            raise ArtefactError(
                f"processor_config.json has the keys {sorted(saved)!r}, expected {sorted(cls._settings())!r}"
                + (f"; unknown: {unknown!r}" if unknown else "")
                + "; check that this version of nlp-inference, or an older one, saved the model"
            )
        if saved.get("format_version") == 1:
            saved["task"] = with_words_of_format_1(saved["task"])
        overrides = {key: value for key, value in kwargs.items() if key not in _LOADING and not key.startswith("_")}
        unknown = sorted(set(overrides) - set(cls._settings()))
        if unknown:
            raise ArtefactError(
                f"from_pretrained got unknown arguments {unknown!r}; it can replace {sorted(cls._settings())!r}"
            )
        return cls(*args, **{**saved, **overrides})


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(read_saved_file(path))
    except ArtefactError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise ArtefactError(
            f"cannot read {path.name} of {str(path.parent)!r}: {error}; "
            "expected a folder or a Hub id of a model that nlp-inference saved"
        ) from error
    if not isinstance(config, dict):
        raise ArtefactError(
            f"{path.name} of {str(path.parent)!r} contains {config!r:.60}, expected an object; fetch the model again"
        )
    return config


def _check_unknown_token(tokenizer: Any) -> None:
    """Raise an error if the vocabulary lacks the unknown token, because lookups would recurse forever."""
    unknown = tokenizer.unk_token
    if unknown is not None and plain_backend(tokenizer).token_to_id(unknown) is None:
        raise ArtefactError(
            f"the unknown token of the tokenizer is {unknown!r:.80}, but its vocabulary has no such token; save the "
            "tokenizer again"
        )
