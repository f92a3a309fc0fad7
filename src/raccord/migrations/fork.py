"""Decides what a fork is called, what its key is, and how far it is from its source. Pure: no I/O."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from raccord.migrations.graph import Graph

NAME_BYTES = 63  # PostgreSQL cuts a longer name off
DIGITS = 12  # of a content's digest that a fork remembers
LOST = ""  # the digest of a revision whose file nobody has


def applied_chain(graph: Graph, heads: Iterable[str], recorded: Mapping[str, str]) -> dict[str, str]:
    """What is applied to a database: every revision with the beginning of its content's digest.

    Args:
        graph: the history, with holes or without.
        heads: the ids in the version table.
        recorded: the digests that raccord noted when it applied them; they count more than a file of today.
    """
    chain = graph.chain(heads)
    found = {}
    for one in (*chain.present, *chain.missing):
        digest = recorded.get(one) or (graph[one].digest if one in graph else LOST)
        found[one] = digest[:DIGITS]
    return dict(sorted(found.items()))


def chain_key(chain: Mapping[str, str]) -> str:
    """The same for the same contents in the same chain."""
    text = "".join(f"{one}\0{digest}\n" for one, digest in sorted(chain.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]


def fork_name(source: str, worktree: str, key: str, id_: str) -> str:
    """The name of a fork: what it is of, whose it is, its key, and what no other has.

    It needs no quoting in any URL or shell, and has at most 63 bytes.
    """
    end = f"_{key[:6]}{id_[:6]}"
    left = NAME_BYTES - len(end) - 1
    tree = _plain(worktree) or "worktree"
    of = _plain(source) or "db"
    tree = tree[: max(left // 2, left - len(of))]
    return f"{of[: left - len(tree)].rstrip('_')}_{tree.strip('_')}{end}"


def _plain(text: str) -> str:
    """Letters, digits and underscores of a text that may be in any script."""
    ascii_ = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^a-z0-9]+", "_", ascii_).strip("_")


@dataclass(frozen=True, slots=True)
class Distance:
    """How far two databases of one history are from each other.

    Attributes:
        ahead: revisions that only the first has.
        behind: revisions that only the second has.
    """

    ahead: int
    behind: int


def distance(graph: Graph, first: Iterable[str], second: Iterable[str]) -> Distance:
    """Compares what is applied to two databases.

    Args:
        graph: the history, as far as anybody has it.
        first, second: the ids in their version tables.
    """
    ours, theirs = ({*one} | graph.ancestors(one) for one in ([*first], [*second]))
    return Distance(len(ours - theirs), len(theirs - ours))


def edited(chain: Mapping[str, str], graph: Graph) -> tuple[str, ...]:
    """The revisions of a fork's chain whose file in a worktree is another one by now, or gone."""
    return tuple(
        one
        for one, digest in chain.items()
        if digest != LOST and (one not in graph or graph[one].digest[:DIGITS] != digest)
    )
