"""The JSON that may be sent for each key of the configuration. What a value means, raccord reads."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from raccord.config import Key
from raccord.config.hooks import STATUSES
from raccord.config.keys import NAMED, keys
from raccord.config.kinds import CLOSURE, COMMAND, COMMANDS, LANGUAGE, Kind
from raccord.model.language import LANGUAGES

Schema = dict[str, Any]

NAME = "[A-Za-z0-9_][A-Za-z0-9_-]*"
MOST = 2**31
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
_OF: dict[Kind, Schema] = {
    CLOSURE: {"enum": [True, False, "all"]},
    COMMAND: {"anyOf": [TEXT, TEXTS]},
    COMMANDS: {"type": "array", "items": {"anyOf": [TEXT, TEXTS]}},
    LANGUAGE: {"enum": ["", *LANGUAGES]},
    STATUSES: {"type": "array", "items": {"type": "integer"}},
}


def of(key: Key) -> Schema:
    """The values that may be sent for a key."""
    kind = key.kind
    if kind in _OF:
        return _OF[kind]
    if kind.expected.startswith("one of "):
        return {"enum": re.findall(r'"([^"]+)"', kind.expected)}
    example = tomllib.loads(f"example = {kind.value}")["example"]
    if isinstance(example, bool):
        return {"type": "boolean"}
    if isinstance(example, int):
        return {"type": "integer", "minimum": example, "maximum": MOST}
    if isinstance(example, list):
        return TEXTS
    return {"type": "object", "additionalProperties": TEXT} if isinstance(example, dict) else TEXT


def body(names: dict[str, str]) -> Schema:
    """What `PATCH` takes: keys with their section, and null for one that is to go.

    Args:
        names: what else some keys are called.
    """
    known = {key.dotted: key for key in keys()}
    plain = {dotted: key for dotted, key in known.items() if key.section not in NAMED}
    plain |= {name: known[dotted] for name, dotted in names.items()}
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {name: _described(key) for name, key in sorted(plain.items())},
        "patternProperties": {
            rf"^{key.section}\.{NAME}\.{key.name}$": _described(key)
            for key in known.values()
            if key.section in NAMED
        },
    }


def fits(value: Any, schema: Schema) -> bool:
    """Whether a value is one that a schema of `of` allows."""
    if "anyOf" in schema:
        return any(fits(value, one) for one in schema["anyOf"])
    if "enum" in schema:
        return any(value == one and type(value) is type(one) for one in schema["enum"])
    kind = schema["type"]
    if kind == "integer":
        number = isinstance(value, int) and not isinstance(value, bool)
        return number and schema.get("minimum", value) <= value <= schema.get("maximum", value)
    if kind == "array":
        return isinstance(value, list) and all(fits(one, schema["items"]) for one in value)
    if kind == "object":
        rest = schema["additionalProperties"]
        return isinstance(value, dict) and all(fits(one, rest) for one in value.values())
    return isinstance(value, bool if kind == "boolean" else str)


def whole(value: Any) -> Any:
    """A value as TOML has it: JSON knows one kind of numbers, and 3.0 is the integer 3."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return [whole(one) for one in value] if isinstance(value, list) else value


def _described(key: Key) -> Schema:
    return {"anyOf": [of(key), {"type": "null"}], "description": key.doc}
