"""Why a content may be run: a remote that the user trusts holds it, or it was applied here before.

Decides nothing: what is in neither needs a person's word.
"""

from __future__ import annotations

from collections.abc import Iterable

from raccord.git import refs
from raccord.migrations.contents import Candidate
from raccord.migrations.git_history import pathspecs
from raccord.migrations.revision import Revision
from raccord.migrations.sources import Sources


def trusted(sources: Sources, contents: Iterable[Candidate], remote: str) -> dict[str, str]:
    """Digest to why it is trusted, of those contents that are.

    Args:
        remote: the name of the trusted remote, such as "origin"; "" where none is.

    Raises:
        RaccordError: raccord's own store can't be read.
        ProcessFailed: git failed.
    """
    contents = list(contents)
    shelf = sources.archive.read()
    found: dict[str, str] = {}
    for one in contents:
        if (database := shelf.ever_applied(one.digest)) is not None:
            found[one.digest] = f"applied to {database} before"
    if remote:
        paths = {origin.path for one in contents for origin in one.origins}
        held = held_by(sources, remote, paths)
        found.update({one.digest: f"{remote} has it" for one in contents if one.digest in held})
    return found


def held_by(sources: Sources, remote: str, paths: Iterable[str] = ()) -> frozenset[str]:
    """The digests of all revisions that a remote's refs hold, as last fetched, today or in their history.

    Args:
        paths: of files outside of the version folders that are looked at as well.
    """
    tips = [ref.oid for ref in refs.read(sources.objects.git, f"refs/remotes/{remote}").by_name.values()]
    folders = {*sources.folders, *(path.rpartition("/")[0] for path in paths if "/" in path)}
    rows = sources.history.read(tips, pathspecs(sorted(folders)), of=remote).rows
    files = {(row.blob, row.path.rpartition("/")[2]) for row in rows}
    sources.headers.look(files)
    headers = (sources.headers.get(blob, name) for blob, name in files)
    return frozenset(header.digest for header in headers if isinstance(header, Revision))
