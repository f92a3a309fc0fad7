"""The configuration: `raccord.toml` or `[tool.raccord]` into frozen dataclasses. Only reads."""

from raccord.config.absent import absent
from raccord.config.coordination import WATCHES, Channel, Coordination
from raccord.config.hooks import Hook
from raccord.config.keys import (
    Config,
    Gates,
    Key,
    Lint,
    Migrations,
    Snapshots,
    Sync,
)
from raccord.config.kinds import Secret
from raccord.config.promotion import OBJECT_MODES, ROW_MODES, DataSet, Environment, FileSet, Profile
from raccord.config.read import (
    FILE,
    PYPROJECT,
    Source,
    configured,
    declared,
    expanded,
    libpq_defaults,
    load,
    parse,
    refused,
    source,
    valid,
    variable,
)
from raccord.config.surroundings import language, speaking, spoken
from raccord.config.text import commented

__all__ = [
    "FILE", "OBJECT_MODES", "PYPROJECT", "ROW_MODES", "WATCHES", "Channel", "Config", "Coordination",
    "DataSet", "Environment", "FileSet", "Gates", "Hook", "Key", "Lint", "Migrations", "Profile",
    "Secret", "Snapshots", "Source", "Sync", "absent", "commented", "configured", "declared", "expanded",
    "language", "libpq_defaults", "load", "parse", "refused", "source", "speaking", "spoken", "valid",
    "variable",
]  # fmt: skip
