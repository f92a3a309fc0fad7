"""Revision files among the objects that nothing leads to: what a removed worktree left behind.

Looks at every object of the repository; it is the last and the slowest source.
"""

from __future__ import annotations

from collections.abc import Sequence

from raccord.migrations.contents import Sighting, Trouble
from raccord.migrations.git_history import EVERYWHERE, walk
from raccord.migrations.git_sources import parsed_tree
from raccord.migrations.headers import LIMIT, Headers
from raccord.migrations.objects import Objects
from raccord.migrations.revision import is_revision_name

# Where a blob has no name left; it is none that alembic would take for an id.
NAMELESS = "_.py"
LARGEST_TREE = 16 << 20  # bytes


def dangling(
    objects: Objects, headers: Headers, tips: Sequence[str]
) -> tuple[list[Sighting], list[Trouble], int]:
    """Revision files that nothing leads to, what could not be looked at, and how many objects there were.

    Args:
        tips: commits whose history is known already.
    """
    reachable = _reachable(objects)
    lost: dict[str, list[str]] = {"blob": [], "tree": [], "commit": [], "tag": []}
    for oid, kind, size in objects.every():
        if oid not in reachable and (kind != "blob" or size <= LIMIT):
            lost[kind].append(oid)
    headers.look([(oid, NAMELESS) for oid in lost["blob"]], marked=True)
    blobs = {oid for oid in lost["blob"] if headers.get(oid, NAMELESS) is not None}
    found: dict[str, Sighting] = {}
    # A commit that is lost too tells who wrote it, a tree its name at least.
    walked = walk(objects.git, lost["commit"], EVERYWHERE, without=tips)
    for row in walked.rows:
        if row.blob in blobs:
            found[row.blob] = Sighting("dangling", "", row.path, row.blob, row.commit, row.author, row.time)
    if blobs - found.keys():
        for _, data in objects.read(lost["tree"], LARGEST_TREE):
            if isinstance(data, bytes):
                for folder, name, oid in parsed_tree(data, len(objects.repo.zero) // 2):
                    if not folder and oid in blobs and is_revision_name(name):
                        found.setdefault(oid, Sighting("dangling", "", name, oid))
    for oid in blobs:
        found.setdefault(oid, Sighting("dangling", "", "", oid))
    headers.look([(one.blob, one.name) for one in found.values()])
    troubles = [Trouble("dangling", "", tip, said, "git fsck") for tip, said in walked.broken.items()]
    return [found[oid] for oid in sorted(found)], troubles, sum(map(len, lost.values()))


def _reachable(objects: Objects) -> frozenset[str]:
    """Every object that something leads to, as far as damaged ones let git go."""
    result = objects.git.run(
        "rev-list", "--objects", "--no-object-names", "--missing=allow-any", "--ignore-missing",
        "--all", "--reflog", "--indexed-objects",
    )  # fmt: skip
    return frozenset(result.stdout.decode("ascii", "replace").split())
