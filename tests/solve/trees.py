"""Rooted trees, which number the order conditions (Hairer, Norsett, Wanner 1993, sec. II.2)."""

from __future__ import annotations

from functools import cache

Tree = tuple  # a rooted tree is the sorted tuple of its branches


@cache
def rooted_trees(order: int) -> tuple[Tree, ...]:
    """All rooted trees with that many nodes."""
    return tuple(sorted(forests(order - 1, order - 1), key=repr))


@cache
def forests(nodes: int, largest: int) -> tuple[Tree, ...]:
    """All multisets of trees of at most ``largest`` nodes each with ``nodes`` nodes in all."""
    if nodes == 0:
        return ((),)
    found = {
        tuple(sorted((tree, *rest), key=repr))
        for size in range(1, min(nodes, largest) + 1)
        for tree in rooted_trees(size)
        for rest in forests(nodes - size, size)
    }
    return tuple(sorted(found, key=repr))


def size_of(tree: Tree) -> int:
    return 1 + sum(size_of(branch) for branch in tree)


def density(tree: Tree) -> int:
    """gamma(tree): the product of the sizes of all subtrees."""
    product = size_of(tree)
    for branch in tree:
        product *= density(branch)
    return product
