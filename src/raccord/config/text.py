"""The configuration as text: a commented `raccord.toml` and the reference page. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from raccord.config.keys import EXAMPLES, NAMED, SECTIONS, Config, Key, keys
from raccord.model.text import shown

WIDTH = 100
OPENING = """\
# How raccord keeps the worktrees of this repository in step.
# Every line that is commented out shows the default or an example; remove what you do not need.
"""


def toml(value: object) -> str:
    """The TOML spelling of a boolean, number, string, or a list or table of such."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(_escaped(char) for char in value) + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml(name)} = {toml(item)}" for name, item in value.items()) + " }"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def commented(found: Mapping[str, tuple[object, str]]) -> str:
    """A `raccord.toml` that explains every key.

    Args:
        found: what was observed, by dotted key ("sync.base"): the value, and where it comes from. Such a key
            is written out; every other stays a comment.

    Raises:
        KeyError: `found` has a key that nobody declared.
    """
    if unknown := set(found) - {key.dotted for key in keys() if key.section not in NAMED}:
        raise KeyError(", ".join(sorted(unknown)))
    parts = [OPENING]
    parts += ["\n" + _entry(key, found) for key in keys() if not key.section]
    for section, cls in SECTIONS.items():
        parts.append("\n" + _comment(_first_line(cls)) + f"[{section}]\n")
        parts += ["\n" + _entry(key, found) for key in keys() if key.section == section]
    for section, cls in NAMED.items():
        # There is none until somebody names it.
        parts.append("\n" + _comment(_first_line(cls)) + f"# [{section}.{EXAMPLES[section]}]\n")
        parts += ["\n" + _entry(key, {}) for key in keys() if key.section == section]
    return "".join(parts)


def _entry(key: Key, found: Mapping[str, tuple[object, str]]) -> str:
    if key.dotted in found:
        value, source = found[key.dotted]
        doc = f"{key.doc} Found: {shown(source)}." if source else key.doc
        return _comment(doc) + f"{key.name} = {spelled(key.name, value)}\n"
    example = key.example if key.default in ("", (), None, {}) else spelled(key.name, key.default)
    return _comment(key.doc) + "".join(f"# {line}\n" for line in f"{key.name} = {example}".split("\n"))


def spelled(name: str, value: object) -> str:
    """The TOML spelling of a key's value: on one line where it fits, else a list with an item a line."""
    line = toml(value)
    if len(name) + 5 + len(line) <= WIDTH or not isinstance(value, list | tuple):
        return line
    return "[\n" + "".join(f"  {toml(item)},\n" for item in value) + "]"


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text.replace("`", ""), WIDTH - 2))


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]


def reference() -> str:
    """The reference of all keys, as Markdown tables."""
    out = []
    for section, cls in {"": Config, **SECTIONS, **NAMED}.items():
        name = f"{section}.NAME" if section in NAMED else section
        title = f"## `[{name}]`\n\n{_first_line(cls)}" if section else "## Above all sections"
        out.append(f"{title}\n\n| key | takes | default | |\n|---|---|---|---|\n")
        for key in keys():
            if key.section == section:
                default = "" if key.default in ("", None, {}) else f"`{toml(key.default)}`"
                out.append(f"| `{key.name}` | {key.kind.expected} | {default} | {key.doc} |\n")
        out.append("\n")
    return "".join(out).rstrip("\n") + "\n"
