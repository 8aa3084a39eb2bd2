"""YAML 1.2: `3e-4` is a number and `no` is a string."""

import re
from pathlib import Path
from typing import Any

import yaml

from nlp_inference.errors import InvalidSpecError

MOST_VALUES = 100_000
"""With aliases, a document may stand for at most this many values."""

_BOOL, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"


class _Yaml(yaml.SafeLoader):
    """A loader with the numbers and booleans of YAML 1.2; PyYAML reads YAML 1.1: `3e-4` is a string, `no` is false."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in PyYAML's own loaders
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    has_aliases = False

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, and note whether it is an alias."""
        self.has_aliases = self.has_aliases or self.check_event(yaml.AliasEvent)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_document(self, node: yaml.Node) -> Any:
        """Construct the values, of which some, such as the date 2026-02-30, only look valid."""
        try:
            return super().construct_document(node)
        except ValueError as error:
            raise yaml.YAMLError(f"a value cannot be read: {error}; write it in quotes, or correct it") from error

    def get_single_node(self) -> yaml.Node | None:
        """Return the root, after a check of its aliases, because a few lines can stand for billions of values."""
        try:
            root: yaml.Node | None = super().get_single_node()
            if root is not None and self.has_aliases and _expanded_size(root, {}) > MOST_VALUES:
                raise yaml.YAMLError(
                    f"its aliases (*name) stand for more than {MOST_VALUES:,} values, or contain themselves; write the "
                    "values out, or remove the aliases"
                )
        except RecursionError as error:
            raise yaml.YAMLError("it is nested too deeply; write fewer levels") from error
        return root


class _YamlDumper(yaml.SafeDumper):
    """A dumper that quotes strings which either version of YAML would read as another type."""


_Yaml.add_implicit_resolver(_BOOL, re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
for _class in (_Yaml, _YamlDumper):
    _class.add_implicit_resolver(_FLOAT, re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789"))


def _expanded_size(node: yaml.Node, known: dict[int, float]) -> float:
    """Return the number of values that a node stands for; infinite if it contains itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = float("inf")
        pairs = node.value if isinstance(node, yaml.SequenceNode) else [one for pair in node.value for one in pair]
        known[id(node)] = 1 + sum(_expanded_size(one, known) for one in pairs)
    return known[id(node)]


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        InvalidSpecError: the file cannot be read, is not YAML, or does not contain a mapping.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Yaml)  # noqa: S506 - a SafeLoader
    except FileNotFoundError as error:
        raise InvalidSpecError(
            f"the configuration {str(path)!r} does not exist; the folder configs/ contains examples"
        ) from error
    except OSError as error:
        raise InvalidSpecError(f"the configuration {str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidSpecError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except yaml.YAMLError as error:
        raise InvalidSpecError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidSpecError(f"{path} contains {type(content).__name__}, expected a mapping with the keys of a run")
    return content


def parse_yaml(text: str) -> Any:
    """Parse YAML text.

    Raises:
        yaml.YAMLError: the text is not valid YAML.

    Example:
        >>> parse_yaml("[3e-4, no, true]")
        [0.0003, 'no', True]
    """
    return yaml.load(text, Loader=_Yaml)  # noqa: S506 - a SafeLoader


def yaml_text(content: Any) -> str:
    """Return YAML text that `parse_yaml` reads.

    Example:
        >>> yaml_text({"name": "no", "rate": 0.5})
        "name: 'no'\\nrate: 0.5\\n"
    """
    return yaml.dump(content, Dumper=_YamlDumper, sort_keys=False, allow_unicode=True)
