"""Where a worktree's database URL stands: an option, env.py, a variable of an env file or of the environment.

Reads env files as data. The environment is that which a child of raccord's would get.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from raccord.kernel import proc
from raccord.migrations import dotenv
from raccord.migrations.envfile import EnvFiles, Variable
from raccord.model.text import shown

OPTION, LITERAL, VARIABLE = "option", "literal", "variable"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a URL stands.

    Attributes:
        kind: "option" of the configuration, "literal" in env.py, "variable" of the environment.
        name: of the option or the variable.
        file: that it stands in, absolute; "" where it comes from the environment that raccord was started in.
        hides: for a variable of the environment: an env file that has it too, and counts less.
    """

    kind: str
    name: str
    file: str = ""
    hides: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """What a variable is.

    Attributes:
        text: its value; None where it has none, or that is not known.
        origin: where it stands, where it has one.
        unclear: why it is not known; "" where it certainly has none.
    """

    text: str | None = None
    origin: Origin | None = None
    unclear: str = ""


def valued(variable: Variable, files: EnvFiles, script: Path, backend: Path) -> Value:
    """What a variable is for env.py.

    Args:
        files: the env files that env.py loads.
        script: the folder of env.py, above which python-dotenv looks.
        backend: the folder that alembic is run in.
    """
    around = proc.environment()
    own = around.get(variable.name)
    loaded, missing = _loaded(files.names, script, backend)
    given = None
    file = ""
    for path in loaded:
        source = dotenv.load(path)
        text = dotenv.value(source or b"", variable.name, around, override=files.override)
        # The first file counts, or with `override` the last.
        if text is not None and (given is None or files.override):
            given, file = text, str(path)
    if own and not (files.override and given is not None):
        return Value(own, Origin(VARIABLE, variable.name, "", file))
    if given:
        return Value(given, Origin(VARIABLE, variable.name, file))
    if missing:
        return Value(unclear=f"comes from the variable {variable.name}; {shown(missing)} is not there")
    if not files.names:
        # Another module may load a file.
        return Value(unclear=f"comes from the variable {variable.name}, which is not set here")
    return Value()


def _loaded(names: Sequence[str], script: Path, backend: Path) -> tuple[list[Path], str]:
    """The files of these names, and the first name of which there is none."""
    found: list[Path] = []
    missing = ""
    for name in names:
        # As python-dotenv without a path: from env.py's folder upwards. As with one: from where alembic runs.
        near = [backend / name, *(folder / name for folder in (script, *script.parents))]
        if "/" not in name:
            near = [*near[1:], near[0]]
        path = next((Path(os.path.normpath(one)) for one in near if one.is_file()), None)
        if path is None:
            missing = missing or name
        elif path not in found:
            found.append(path)
    return found, missing
