"""The configuration: `raccord.toml` or `[tool.raccord]` into frozen dataclasses. Only reads."""

from raccord.config.keys import Config, Gates, Migrations, Snapshots, Sync
from raccord.config.read import FILE, expanded, load, parse
from raccord.config.text import commented

__all__ = [
    "FILE", "Config", "Gates", "Migrations", "Snapshots", "Sync", "commented", "expanded", "load", "parse",
]  # fmt: skip
