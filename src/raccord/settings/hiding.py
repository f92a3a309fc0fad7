"""What of the configuration may be seen: where a secret comes from, never the secret itself. Pure."""

from __future__ import annotations

from raccord.config import Key
from raccord.config.hooks import HEADERS
from raccord.config.kinds import HIDDEN, SECRET
from raccord.model.plan import Json

# Where one comes from tells nothing; a command's words may.
HARMLESS = ("env:", "file:", "keyring:")
# What a hook sends, and is answered, may be secret as a whole.
SENT = frozenset({"answer", "body", "command", "json", "shell", "url"})


def secretive(key: Key, value: Json) -> bool:
    """Whether a value of a key may hold a secret itself."""
    if value is None:
        return False
    if key.kind is SECRET or key.kind is HIDDEN:
        return not _harmless(value)
    if key.kind is HEADERS:
        return not isinstance(value, dict) or not all(map(_harmless, value.values()))
    return key.section == "hooks" and key.name in SENT


def _harmless(value: Json) -> bool:
    return isinstance(value, str) and value.strip().startswith(HARMLESS)
