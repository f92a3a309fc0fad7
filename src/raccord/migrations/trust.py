"""Why a content may be run: a remote that the user trusts holds it, or it was applied here before.

Decides nothing: what is in neither needs a person's word.
"""

from __future__ import annotations

from collections.abc import Iterable

from raccord.migrations.contents import Candidate
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
    shelf = sources.shelf
    found: dict[str, str] = {}
    for one in contents:
        if (database := shelf.ever_applied(one.digest)) is not None:
            found[one.digest] = f"applied to {database} before"
    if remote:
        beside = {origin.path.rpartition("/")[0] for one in contents for origin in one.origins}
        held = sources.held_by(remote, beside)
        found.update({one.digest: f"{remote} has it" for one in contents if one.digest in held})
    return found
