"""How a processor is saved, as `processor_config.json` beside the tokenizer's files, and loaded again."""

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
"""Arguments of `from_pretrained` that say how to load, and decide nothing."""

_DESCRIPTION = frozenset({"processor_class", "auto_map", "custom"})
"""Keys of `processor_config.json` that say where classes come from, and are no settings."""


class SavedProcessor(ProcessorMixin):
    """The half of a `Processor` that transformers calls: saving it, and loading what may be a stranger's."""

    task: Task
    preprocess: Compose[Transform]
    postprocess: Compose[PostTransform]
    fingerprint: Fingerprint | None

    def members(self) -> tuple[Registered, ...]:
        """Everything of the processor that is saved by name: its task and its transforms."""
        return (self.task, *self.preprocess, *self.postprocess)

    def to_json_file(self, json_file_path: str | PathLike[str]) -> None:
        """Write `processor_config.json` and beside it the source of classes that are to travel with the model.

        `save_pretrained` calls it where `push_to_hub` takes what is written for new.
        """
        save_sources(self.members(), Path(json_file_path).parent)
        super().to_json_file(json_file_path)

    def save_pretrained(self, save_directory: str | PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """Write `processor_config.json` and the tokenizer's files; see `ProcessorMixin.save_pretrained`.

        Raises:
            ArtefactError: a subclass takes arguments that `to_dict` does not give, so that they would be lost.
            PublishError: it is to be pushed too, and belongs to a model; see `push_to_hub`.
        """
        if kwargs.get("push_to_hub") or (args and args[0]):
            self._refuse_to_be_pushed_alone()
        absent = {"fingerprint"} if self.fingerprint is None else set()
        lost = sorted(set(self._settings()) - set(self.to_dict()) - absent)
        if lost:
            raise ArtefactError(
                f"{type(self).__name__} takes {lost!r}, which its to_dict does not give, so that saving would lose "
                "them; give them there"
            )
        return super().save_pretrained(save_directory, *args, **kwargs)

    def push_to_hub(self, repo_id: str, *args: Any, **kwargs: Any) -> str:
        """Upload the processor alone, before there is a model for it; see `ProcessorMixin.push_to_hub`.

        Raises:
            PublishError: it has a fingerprint, and so belongs to a model, which is published as a whole or not at all.
        """
        self._refuse_to_be_pushed_alone()
        url: str = super().push_to_hub(repo_id, *args, **kwargs)
        return url

    def _refuse_to_be_pushed_alone(self) -> None:
        """A processor of other settings beside the weights of a published model would be a model nobody verified."""
        if self.fingerprint is not None:
            raise PublishError(
                "this processor belongs to a finished model, and pushing it alone would verify nothing; publish the "
                "model with: nlp-training publish RUN org/model. For a processor of its own, without a model: "
                "processor.with_fingerprint(None).push_to_hub(...)"
            )

    @classmethod
    def _settings(cls) -> list[str]:
        """The arguments that are saved in `processor_config.json`."""
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
            cache_dir: where downloads are kept, in place of the Hub's own cache.
            force_download: fetch again what is in the cache.
            local_files_only: load what was downloaded before, and never ask the network.
            token: for a private model on the Hub.
            revision: branch, tag or commit on the Hub.
            trust_remote_code: whether code that was saved with the model may run: transforms and tasks of users, and
                the tokenizer's class. Code is of the same revision as all else. Read it before you trust it.
            **kwargs: settings to replace, such as `windows`.

        Warns:
            FingerprintWarning: a transform, a package on the route, `config.json` or a file of the tokenizer is not
                what it was when the processor was saved.
            TokenizerWarning: the tokenizer that transformers builds is not the one of `tokenizer.json`.

        Raises:
            ArtefactError: there is no such processor, its download did not complete, or a file of it is damaged.
            UnknownTypeError: it uses a transform or a task that is not installed, and whose code is not trusted.
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
            check_config_file(folder, source=str(pretrained_model_name_or_path))  # transformers reads it, too
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

        The method of `ProcessorMixin` would read other files too, and load whatever model these name.

        Raises:
            ArtefactError: it cannot be read, or is no JSON object.
            UnknownTypeError: it uses a transform or a task that is not installed, and whose code is not trusted.
        """
        folder = Path(pretrained_model_name_or_path)
        config = _read_config(folder / PROCESSOR_NAME)
        fingerprint = as_fingerprint(config.get("fingerprint"))
        if fingerprint is not None:
            fingerprint.check_settings(folder, source=str(pretrained_model_name_or_path))
        trusted = bool(kwargs.get("trust_remote_code"))
        return with_custom_types(config, folder, trusted=trusted, replaced=kwargs), kwargs

    @classmethod
    def from_args_and_dict(cls, args: Sequence[Any], processor_dict: dict[str, Any], **kwargs: Any) -> Self:
        """Build a processor from its tokenizer and its saved settings; called by `from_pretrained`.

        Raises:
            ArtefactError: there are no settings, or some that this library does not know.
        """
        saved = {key: value for key, value in processor_dict.items() if key not in _DESCRIPTION}
        unknown = sorted(set(saved) - set(cls._settings()))
        if "task" not in saved or unknown:
            raise ArtefactError(
                f"processor_config.json has the keys {sorted(saved)!r}; expected {sorted(cls._settings())!r}"
                + (f", and does not know {unknown!r}" if unknown else "")
                + "; was this model saved by nlp-inference, by this version?"
            )
        if saved.get("format_version") == 1:
            saved["task"] = with_words_of_format_1(saved["task"])
        overrides = {key: value for key, value in kwargs.items() if key not in _LOADING and not key.startswith("_")}
        unknown = sorted(set(overrides) - set(cls._settings()))
        if unknown:
            raise ArtefactError(
                f"from_pretrained does not know {unknown!r}; what it can replace is {sorted(cls._settings())!r}"
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
            f"{path.name} of {str(path.parent)!r} holds {config!r:.60}, expected an object; fetch the model again"
        )
    return config


def _check_unknown_token(tokenizer: Any) -> None:
    """Asked for a token that it has not, a tokenizer of transformers asks for the unknown one instead, without end."""
    unknown = tokenizer.unk_token
    if unknown is not None and plain_backend(tokenizer).token_to_id(unknown) is None:
        raise ArtefactError(
            f"the tokenizer says that {unknown!r:.80} stands for unknown text, but its vocabulary has no such token; "
            "save the tokenizer anew"
        )
