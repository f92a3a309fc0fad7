"""The salt of a repository's masks, in raccord's own state: made once, for its owner alone. Never shown."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from raccord.data.masks import Salt
from raccord.data.spec import Spec
from raccord.errors import StoreError
from raccord.kernel import fs
from raccord.model.masks import parse
from raccord.model.text import shown

FILE = "mask.key"
BYTES = 32


def read(state: Path) -> Salt:
    """The salt; where there is none yet, one for the moment, with which nothing was ever masked.

    Raises:
        StoreError: what lies there is none.
    """
    found = fs.read_or_none(state / FILE)
    if found is None:
        return Salt.of(secrets.token_bytes(BYTES))
    if len(found) != BYTES:
        place = shown(str(state / FILE))
        raise StoreError(f"{place} is not what raccord wrote there", hint=f"rm {place}")
    return Salt.of(found)


def needed(spec: Spec) -> bool:
    """Whether what is sent depends on it."""
    return spec.masking or any(map(parse, spec.mask.values()))


def make(state: Path) -> None:
    """Makes the salt where there is none: whole, or not at all, and never in the place of another."""
    if (state / FILE).exists():
        return
    fs.make_dirs(state)
    draft = state / f".{FILE}.{secrets.token_hex(4)}"
    fs.write_new(draft, secrets.token_bytes(BYTES), mode=0o600, exact=True)
    try:
        with contextlib.suppress(FileExistsError):
            fs.link(draft, state / FILE)
    finally:
        fs.unlink(draft)
    fs.sync_dir(state)
