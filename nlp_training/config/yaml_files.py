"""YAML 1.2: `3e-4` is a number, `no` and `12:30` are strings, `010` is ten, and a key occurs once in a mapping."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from nlp_inference.errors import InvalidSpecError

MOST_VALUES = 100_000
"""With aliases, a document may stand for at most this many values."""

_BOOL, _FLOAT, _INT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float", "tag:yaml.org,2002:int"
_MERGE = "tag:yaml.org,2002:merge"
_BASES = {"0b": 2, "0o": 8, "0x": 16}


class _Yaml(yaml.SafeLoader):
    """A loader with the numbers and booleans of YAML 1.2, and `_` in numbers.

    PyYAML reads YAML 1.1: `3e-4` is a string, `no` is false, `010` is eight, `12:30` is 750.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in PyYAML's own loaders
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_BOOL, _FLOAT, _INT)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    has_aliases = False

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, and note whether it is an alias."""
        self.has_aliases = self.has_aliases or self.check_event(yaml.AliasEvent)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping, and check that no key occurs twice: PyYAML would silently keep the last value."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE]
        keys = [(key.tag, key.value) for key in scalars]
        if len(set(keys)) < len(keys):
            [((_, repeated), _)] = Counter(keys).most_common(1)
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"the key {repeated!r} occurs twice in the mapping that begins in line {line}")
        return node

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        """Return the integer of a scalar, in decimal if it has no prefix such as `0x`."""
        value = node.value.replace("_", "").lower()
        base = _BASES.get(value.lstrip("+-")[:2], 10)
        return int(value, base)

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


_NUMBERS = {
    _INT: r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)$",
    _FLOAT: r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$",
}
_Yaml.add_implicit_resolver(_BOOL, re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Yaml.add_constructor(_INT, _Yaml.construct_integer)
for _class in (_Yaml, _YamlDumper):
    for _tag, _pattern in _NUMBERS.items():  # integers first: they match the pattern of floats too
        _class.add_implicit_resolver(_tag, re.compile(_pattern), list("-+.0123456789"))


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
