"""The tree of a conversation's messages: branches, and the versions of a message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """A message's place: `parent_id` is None at a root."""

    id: str
    parent_id: str | None
    role: str


class MessageTree:
    """The places of all messages of one conversation. Ids sort by age; every answer is linear in the messages."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = {node.id: node for node in sorted(nodes, key=lambda node: node.id)}
        self._children: dict[str | None, list[Node]] = defaultdict(list)
        for node in self._nodes.values():
            self._children[node.parent_id].append(node)

    def path(self, leaf_id: str | None) -> list[str]:
        """The ids from the root to `leaf_id`."""
        path = []
        node = self._nodes.get(leaf_id) if leaf_id is not None else None
        while node is not None:
            path.append(node.id)
            node = self._nodes.get(node.parent_id) if node.parent_id is not None else None
        path.reverse()
        return path

    def versions(self, message_id: str) -> list[str]:
        """The messages with the same parent and role as this one, itself included, oldest first."""
        node = self._nodes[message_id]
        return [other.id for other in self._children[node.parent_id] if other.role == node.role]

    def newest_leaf(self, message_id: str) -> str:
        """The newest message without children among this one and all below it."""
        leaves = []
        ahead = [message_id]
        while ahead:
            children = self._children.get(ahead[-1])
            above = ahead.pop()
            if children:
                ahead.extend(child.id for child in children)
            else:
                leaves.append(above)
        return max(leaves)
