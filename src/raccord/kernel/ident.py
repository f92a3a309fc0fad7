"""Ids of what is kept, such as a backup; nobody gives one out twice."""

from __future__ import annotations

import secrets
import time


def new_id() -> str:
    """An id that sorts by time, for a person to type."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
