"""What a config refers to by interpolations, read with OmegaConf's own grammar."""

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any

from omegaconf import DictConfig, ListConfig, Node, OmegaConf, ValueNode
from omegaconf._utils import split_key
from omegaconf.errors import OmegaConfBaseException
from omegaconf.grammar_parser import parse
from omegaconf.grammar_visitor import GrammarVisitor


def references(config: DictConfig, text: str, key: str) -> list[str]:
    """Return the keys to which `text`, at `key`, refers.

    They may be arguments of a resolver, and `oc.select` names one. A key that only tells which one
    is meant is left out, such as `name` in `${secrets.${name}}`. No resolver is called but those
    that read a variable or a value. A text that OmegaConf cannot read refers to nothing.
    """
    return _read(config, text, key)[1]


def expanded(config: DictConfig, text: str, key: str) -> str:
    """Return `text`, at `key`, with values in place of its references, as far as they are known."""
    return _read(config, text, key)[0]


def _read(config: DictConfig, text: str, key: str) -> tuple[str, list[str]]:
    if "${" not in text:
        return text, []
    visitor = _References(config, key)
    read = text
    with suppress(OmegaConfBaseException):
        read = str(visitor.visit(parse(text)))
    return read, visitor.found


def referred(config: DictConfig, keys: Iterable[str]) -> set[str]:
    """Return the keys to which the values at and below `keys` refer, also through others."""
    found: set[str] = set()
    nodes = [(key, node) for name in keys for key, node in texts(_node(config, name), name)]
    while nodes:
        key, node = nodes.pop()
        new = {name for name in references(config, node._value(), key) if name not in found}
        found |= new
        nodes += [each for name in new for each in texts(_node(config, name), name)]
    return found


def value_node(config: DictConfig, key: str) -> ValueNode | None:
    """Return the node of a plain value, which is not resolved, or None if there is none."""
    node = _node(config, key)
    return node if isinstance(node, ValueNode) else None


def own_key(node: Node) -> str:
    """Return the key of a node, which may be found under the key of a reference to it too."""
    path: list[str] = []
    each: Node | None = node
    while each is not None and each._key() is not None:
        path.append(str(each._key()))
        each = each._get_parent()
    return ".".join(reversed(path))


def texts(node: Node | None, key: str) -> Iterator[tuple[str, ValueNode]]:
    """Yield the texts at `key` and below it, unresolved, with their keys."""
    if isinstance(node, ValueNode):
        if isinstance(node._value(), str):
            yield key, node
    elif isinstance(content := getattr(node, "_content", None), dict):
        for name, child in content.items():
            yield from texts(child, f"{key}.{name}" if key else str(name))
    elif isinstance(node, ListConfig) and isinstance(content, list):
        for i, child in enumerate(content):
            yield from texts(child, f"{key}.{i}")


def _node(config: DictConfig, key: str) -> Node | None:
    path, _, name = key.rpartition(".")
    parent: Any = config
    if path:
        parent = OmegaConf.select(config, path, throw_on_resolution_failure=False)
    if isinstance(parent, DictConfig):
        return parent._get_node(name, validate_access=False)
    if isinstance(parent, ListConfig) and name.isdigit() and int(name) < len(parent):
        return parent._get_node(int(name), validate_access=False)  # type: ignore[return-value]
    return None


class _References(GrammarVisitor):
    """Visitor of a parsed text that finds keys, and reads their values.

    `seen` are the keys whose values are being read: a text may refer to itself.
    """

    def __init__(self, config: DictConfig, key: str, seen: Collection[str] = ()) -> None:
        super().__init__(self._select, self._resolve, memo=None)
        self.found: list[str] = []
        self._config, self._path, self._seen = config, key.split("."), seen

    def visitConfigKey(self, ctx: Any) -> str:  # noqa: N802
        n_found = len(self.found)
        name = super().visitConfigKey(ctx)
        del self.found[n_found:]
        return name

    def _select(self, key: Any, memo: Any = None) -> Any:
        names = split_key(getattr(key, "raw", key))  # OmegaConf 2.4 has a class for keys
        n_up = next((i for i, name in enumerate(names) if name), 0)  # `.x` is beside the key
        name = ".".join([*self._path[:-n_up], *names[n_up:]] if n_up else names)
        self.found.append(name)
        node = value_node(self._config, name)
        value = "" if node is None else node._value()
        if node is None or name in self._seen or "${" not in str(value):
            return value
        inner = _References(self._config, own_key(node), {*self._seen, name})
        return inner.visit(parse(value))

    def _resolve(self, name: str, args: tuple[Any, ...], args_str: tuple[str, ...]) -> Any:
        if not args:
            return ""
        default = args[1] if len(args) > 1 else ""
        if name == "oc.select":
            return self._select(str(args[0])) or default
        if name == "hydra":
            return self._select(f"hydra.{args[0]}")
        return os.environ.get(str(args[0]), default) if name == "oc.env" else ""
