"""The configuration: `raccord.toml` or `[tool.raccord]` into frozen dataclasses. Only reads."""

from raccord.config.keys import Config, Gates, Snapshots, Sync
from raccord.config.read import FILE, load, parse
from raccord.config.text import commented

__all__ = ["FILE", "Config", "Gates", "Snapshots", "Sync", "commented", "load", "parse"]
