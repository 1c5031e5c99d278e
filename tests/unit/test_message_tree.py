"""The tree of messages: paths, versions and the newest leaf, against their plain definitions."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from hearth.conversations.tree import MessageTree, Node


@st.composite
def trees(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = []
    for at in range(draw(st.integers(1, 30))):
        parent = draw(st.sampled_from([None, *(node.id for node in nodes)]))
        nodes.append(Node(f"{at:03}", parent, draw(st.sampled_from(["user", "assistant"]))))
    return nodes


def ancestors(nodes: list[Node], node: Node) -> list[str]:
    by_id = {one.id: one for one in nodes}
    path = [node.id]
    while node.parent_id is not None:
        node = by_id[node.parent_id]
        path.append(node.id)
    return path[::-1]


@given(trees(), st.randoms())
def test_every_question_is_answered_as_defined(nodes: list[Node], random: Random) -> None:
    shuffled = list(nodes)
    random.shuffle(shuffled)
    tree = MessageTree(shuffled)
    parents = {node.parent_id for node in nodes}
    for node in nodes:
        assert tree.path(node.id) == ancestors(nodes, node)
        assert tree.versions(node.id) == [
            one.id for one in nodes if one.parent_id == node.parent_id and one.role == node.role
        ]
        below = [one for one in nodes if node.id in ancestors(nodes, one)]
        assert tree.newest_leaf(node.id) == max(one.id for one in below if one.id not in parents)


def test_an_empty_conversation_has_an_empty_path() -> None:
    assert MessageTree([]).path(None) == []
