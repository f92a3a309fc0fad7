"""Which gate steps a lane gets: set-up first where its lock files changed, then every test command. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raccord.checks.observe import Gates
from raccord.config import keys
from raccord.model.globs import named
from raccord.model.plan import Finding, Step, checkout
from raccord.model.text import shown


@dataclass(frozen=True, slots=True)
class GatePlan:
    """The gate part of a lane.

    Attributes:
        steps: in order; () where the lane is held back.
        held: why the lane can't be tested, or None.
        notes: what a person should know.
    """

    steps: tuple[Step, ...] = ()
    held: Finding | None = None
    notes: tuple[Finding, ...] = ()


def plan_gates(
    worktree: str,
    tree: str,
    gates: Gates,
    settings: keys.Gates,
    *,
    changed: Iterable[str] = (),
    common: str,
) -> GatePlan:
    """The steps that test a worktree once it holds a tree.

    Args:
        worktree: its top directory.
        tree: the id of the tree that it holds by then.
        changed: the paths that the replay changed.
        common: the repository's common git directory; logs are kept below it.
    """
    missing = [gate for gate in gates.gates if gate.missing]
    if missing:
        gate = missing[0]
        return GatePlan(
            held=Finding(
                "gate.missing",
                "unknown",
                f"{shown(gate.missing)} is not there, and {shown(gate.source)} needs it",
                hint="raccord sync --skip-tests --reason '…'",
                data={"argv": list(gate.argv), "source": gate.source, "program": gate.missing},
            ),
            notes=gates.notes,
        )
    locks = [path for path in changed if named(settings.setup_when, path)] if gates.gates else []
    steps: list[Step] = []

    def add(kind: str, argv: Sequence[str], source: str, title: str) -> None:
        steps.append(
            Step(
                kind=kind,
                version=1,
                title=f"{title} {shown(shlex.join(argv))}",
                payload={
                    "worktree": worktree,
                    "tree": tree,
                    "argv": list(argv),
                    "source": source,
                    "env": list(settings.environment),
                    "timeout": settings.timeout_seconds or None,
                    "artefacts": list(settings.artefacts),
                    "common": common,
                    "number": len(steps) + 1,
                },
                resources=(checkout(worktree),),
            )
        )

    if locks:
        for argv in settings.setup:
            add("gate.setup", argv, f"{locks[0]} changed", "set up:")
    for gate in gates.gates:
        add("gate.run", gate.argv, gate.source, "test:")
    notes = gates.notes
    if locks and not settings.setup:
        note = Finding(
            "gate.setup",
            "note",
            f"{shown(locks[0])} changed and no set-up command is configured",
            hint="raccord init",
            data={"paths": locks},
        )
        notes = (*notes, note)
    return GatePlan(tuple(steps), notes=notes)
