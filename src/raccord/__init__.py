"""raccord keeps code, schema, data and files in step across git worktrees and environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raccord.workspace import Workspace as Workspace

__version__ = "0.1.0"
__all__ = ["Workspace", "__version__"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: `raccord --version` and a hook pay for nothing that they don't use.
    if name == "Workspace":
        from raccord.workspace import Workspace

        return Workspace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
