"""Decides whether rows of files may come where they are to come, by where they are from. Pure.

| what may be secret or personal in them | they are from | they come | then |
|---|---|---|---|
| was masked | where they come | back | refused: masks would overwrite what they stand for |
| was masked | anywhere else | anywhere | they may |
| was not | a protected environment | into one that is not | refused, unless there is a reason |
| was not | another environment than the set's own | into the set's own | refused, unless there is a reason |
| was not | anywhere else | anywhere else | they may |

An environment is a protected one where the files or the configuration here say so.
"""

from __future__ import annotations

from collections.abc import Collection

from raccord.data.manifest import Made
from raccord.model.plan import Finding
from raccord.model.text import shown

MASKING = "data.masking"  # the guard that `--unmasked` skips


def overwrites(made: Made, goal: str) -> Finding | None:
    """What speaks against bringing masked rows back to where they are from."""
    if not made.masked or made.environment != goal:
        return None
    origin = shown(goal)
    said = f"these rows are from {origin} and masked: they would overwrite there what the masks stand for"
    hint = f'raccord data export SET --from {origin} --unmasked --reason "…" writes rows to put back'
    return Finding(MASKING, "fail", said, hint)


def exposed(made: Made, goal: str, home: str, protected: Collection[str], again: str) -> Finding | None:
    """What speaks, unless there is a reason, against bringing rows of files into an environment.

    Args:
        home: the environment that the set comes from.
        protected: those that are, by the configuration here.
        again: the command that brings them.
    """
    if made.masked:
        return None
    origin = shown(made.environment)
    if (made.protected or made.environment in protected) and goal not in protected:
        said = (
            f"these rows are from {origin}, which is protected, and are not masked; {goal} is not protected"
        )
    elif goal == home != made.environment:
        said = f"these rows are from {origin} and are not masked, as a pull of them to {goal} would be"
    else:
        return None
    hint = f'export them with --masked, or {again} --unmasked --reason "…"'
    return Finding(MASKING, "fail", said, hint)
