"""What the descriptions of routes share: text that JSON can hold, and examples."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict


def safe(text: str) -> str:
    """Text that JSON in UTF-8 can hold: bytes of a path that are none become what people see of them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def example(**said: Any) -> ConfigDict:
    """An example of an answer, for OpenAPI."""
    return ConfigDict(json_schema_extra={"examples": [said]})
