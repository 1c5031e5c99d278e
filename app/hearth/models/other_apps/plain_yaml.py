"""YAML that does not refer to parts of itself: merged into each other (`<<`), a few of them outgrow any memory."""

from __future__ import annotations

from typing import Any

import yaml


# The loader in Python: the one in C crashes at deep nesting.
class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # it has no types
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it refers to a part of itself")
        return super().compose_node(parent, index)


def read_yaml(text: str) -> Any:
    """What the text says.

    Raises:
        YAMLError, ValueError, RecursionError: it is no such YAML.
    """
    return yaml.load(text, _Loader)  # noqa: S506 (a safe loader with less)
