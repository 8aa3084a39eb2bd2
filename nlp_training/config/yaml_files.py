"""YAML 1.2 as people mean it: `3e-4` is a number and `no` is a word."""

import re
from pathlib import Path
from typing import Any

import yaml

from nlp_inference.errors import InvalidSpecError

_BOOL, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"


class _Yaml(yaml.SafeLoader):
    """YAML 1.2's numbers and booleans: as YAML 1.1 says, PyYAML takes `3e-4` for a string and `no` for false."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in PyYAML's own loaders
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _YamlDumper(yaml.SafeDumper):
    """Quotes what either version of YAML would not read as a string."""


_Yaml.add_implicit_resolver(_BOOL, re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
for _class in (_Yaml, _YamlDumper):
    _class.add_implicit_resolver(_FLOAT, re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789"))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        InvalidSpecError: there is no such file, or it holds something else.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Yaml)  # noqa: S506 - a SafeLoader
    except FileNotFoundError as error:
        raise InvalidSpecError(f"there is no configuration {str(path)!r}; those that ship are in configs/") from error
    except OSError as error:
        raise InvalidSpecError(f"the configuration {str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidSpecError(f"{path}: byte {error.start} is no UTF-8; save the file as UTF-8") from error
    except yaml.YAMLError as error:
        raise InvalidSpecError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidSpecError(f"{path} holds {type(content).__name__}, expected a mapping with the keys of a run")
    return content


def parse_yaml(text: str) -> Any:
    """The value that a text holds.

    Raises:
        yaml.YAMLError: it is not valid YAML.

    Example:
        >>> parse_yaml("[3e-4, no, true]")
        [0.0003, 'no', True]
    """
    return yaml.load(text, Loader=_Yaml)  # noqa: S506 - a SafeLoader


def yaml_text(content: Any) -> str:
    """What `parse_yaml` reads again.

    Example:
        >>> yaml_text({"name": "no", "rate": 0.5})
        "name: 'no'\\nrate: 0.5\\n"
    """
    return yaml.dump(content, Dumper=_YamlDumper, sort_keys=False, allow_unicode=True)
