"""Claims on paths: what a lease is, when two of them are in each other's way, and what keeps them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from raccord.model.globs import compiled
from raccord.model.text import shown

DEEPEST, LONGEST = 100, 1000  # segments and characters of a pattern
WILD = frozenset("*?[\\")


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody asks for. Whoever asks for the same again goes on holding it.

    Attributes:
        pattern: of paths below the project's top, `/` between segments; a directory stands for all in it.
        owner: who works there.
        machine: the id of the machine.
        place: the worktree.
    """

    pattern: str
    owner: str
    machine: str
    place: str


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim that was granted.

    Attributes:
        token: rises with each grant in the project: what carries a smaller one is from somebody who lost it.
        left: seconds until it ends, by the clock of whatever keeps it.
    """

    claim: Claim
    token: int
    left: float


class Leases(Protocol):
    """What keeps leases: this machine's state, or a hub. Each call is one transaction, by its own clock."""

    def claim(self, claim: Claim, seconds: float) -> Lease:
        """Grants a claim for a while; one that is held already goes on, with its token.

        Raises:
            Leased: another's is in the way.
        """

    def renew(self, claim: Claim, token: int, seconds: float) -> Lease:
        """Prolongs a lease.

        Raises:
            LeaseLost: it ended meanwhile, whoever has it now.
        """

    def release(self, claim: Claim) -> bool:
        """Ends a lease; whether there was one."""

    def leases(self) -> list[Lease]:
        """All that hold, the oldest first."""


def spelled(pattern: str) -> str:
    """A pattern in the one spelling that leases have; "" where it names nothing below the top."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    made = "/".join(parts)
    strange = pattern.startswith("!") or ".." in parts or not made.isprintable()
    return "" if strange or len(parts) > DEEPEST or len(made) > LONGEST else made


def mine(claim: Claim, held: Sequence[Lease]) -> Lease | None:
    """The lease that the claim renews; None where it is a new one."""
    return next((one for one in held if one.claim == claim), None)


def in_the_way(claim: Claim, held: Sequence[Lease]) -> list[Lease]:
    """Leases of others that keep a claim from being granted."""
    who = claim.owner, claim.machine, claim.place
    return [
        one
        for one in held
        if (one.claim.owner, one.claim.machine, one.claim.place) != who
        and overlapping(one.claim.pattern, claim.pattern)
    ]


def refusal(claim: Claim, others: Sequence[Lease]) -> str:
    """Why a claim is not granted, for a person."""
    said = ", ".join(f"{shown(one.claim.pattern)} by {shown(one.claim.owner)}" for one in others)
    return f"{shown(claim.pattern)} is leased: {said}"


def lost(token: int, held: Sequence[Lease]) -> str:
    """Why a lease with that token is not gone on with, for a person."""
    for one in held:
        if one.token == token:
            return (
                f"the lease with token {token} is another: "
                f"{shown(one.claim.pattern)} by {shown(one.claim.owner)}"
            )
    return f"the lease with token {token} ended"


def overlapping(one: str, two: str) -> bool:
    """Whether some path may be named by both patterns, as `spelled` has them.

    It is cautious: two segments with wild cards are taken to have a name in common.
    """
    first, second = one.split("/"), two.split("/")

    @cache
    def meet(at: int, other: int) -> bool:
        if at == len(first) or other == len(second):
            return True  # a directory stands for all in it
        if first[at] == "**" or second[other] == "**":
            return meet(at + 1, other) or meet(at, other + 1)
        return _same(first[at], second[other]) and meet(at + 1, other + 1)

    return meet(0, 0)


def _same(one: str, two: str) -> bool:
    if one == two:
        return True
    wild = [bool(WILD.intersection(part)) for part in (one, two)]
    if not any(wild):
        return False
    if all(wild):
        return True
    pattern, name = (one, two) if wild[0] else (two, one)
    glob = compiled(f"/{pattern}")
    return glob is None or bool(glob.depths([name]))
