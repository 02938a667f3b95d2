"""YAML that somebody else wrote: within bounds of depth, of size with all aliases written out, and of numbers."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from verifiers.untrusted.shown import shown

DEEPEST = 40
"""Most lists and mappings within one another."""
MOST_NODES = 100_000
"""Most values, those counted again that an alias repeats."""
LONGEST_NUMBER = 320
"""Most characters of a number."""
_STR = "tag:yaml.org,2002:str"
_TAGS = (None, "!", _STR)


class UnusableYaml(ValueError):
    """YAML that cannot be used; the message is the end of a sentence, with the line."""


def parse_yaml(text: str) -> tuple[Any, yaml.Node | None]:
    """The value of a YAML text, and its nodes, which know their lines.

    Numbers such as 1e-6 are numbers, where YAML 1.1 sees texts; dates are texts; no tag but `!!str` is known.

    Raises:
        UnusableYaml: it is none, or beyond the bounds, or a key stands twice.
    """
    try:
        loader = BoundedLoader(text)
        node = loader.get_single_node()
        return (None if node is None else loader.construct_document(node)), node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = shown(error.problem or error.context)
        if "'\\t'" in problem:
            problem = "found a tab where only blanks may indent"
        raise UnusableYaml(f"{problem}, line {mark.line + 1}, column {mark.column + 1}" if mark else problem) from error
    except yaml.YAMLError as error:
        raise UnusableYaml(shown(error)) from error


class BoundedLoader(yaml.SafeLoader):
    """PyYAML's safe loader, with bounds; `parse_yaml` says which."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = 0
        self._sizes: dict[int, int] = {}
        """Nodes below each node that is whole, and itself."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Counts nodes as they come, so that nothing large is ever made."""
        event, before = self.peek_event(), self._nodes
        alias = isinstance(event, yaml.AliasEvent)
        if not alias and getattr(event, "tag", None) not in _TAGS:
            raise _fault(f"found the tag {event.tag}, which is not known here: leave it out", event)
        self._depth += 1
        if self._depth > DEEPEST:
            raise _fault(f"found something nested deeper than {DEEPEST} levels", event)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if alias and id(node) not in self._sizes:
            raise _fault(f"found the alias *{event.anchor} within itself", event)
        self._nodes += self._sizes[id(node)] if alias else 1
        if self._nodes > MOST_NODES:
            raise _fault(f"found more than {MOST_NODES} values, with what aliases repeat", event)
        self._sizes.setdefault(id(node), self._nodes - before)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuses a key that stands twice, of which YAML would take the last, and one that is no text or number."""
        names: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _fault("found a key that is a list or a mapping", key)
            if key.value in names:
                raise _fault(f"found duplicate key {key.value}", key)
            names.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> Any:
        """A number that is not too long; a text of digits and signs that is none is refused."""
        kind = yaml.SafeLoader.yaml_constructors[node.tag]
        try:
            if len(node.value) <= LONGEST_NUMBER:
                return kind(self, node)
        except (ValueError, OverflowError):
            pass
        raise _fault(f"found {shown(node.value, 40)}, which is not a number that can be read", node)


def _fault(problem: str, at: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, at.start_mark)


BoundedLoader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
BoundedLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
for _kind in ("int", "float"):
    BoundedLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", BoundedLoader.construct_number)
