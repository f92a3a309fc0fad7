"""Reads refs in one call and moves them in one conditional transaction."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from raccord.errors import WorldMoved
from raccord.git.run import Git
from raccord.kernel.proc import Result
from raccord.model.text import shown

DEFAULT = ("refs/heads", "refs/remotes")
HEADS = "refs/heads/"
REMOTES = "refs/remotes/"

_BROKEN = re.compile(
    r"^warning: ignoring (?:broken ref|dangling symref|ref with broken name) (.+)$", re.MULTILINE
)
# How git 2.39 and newer say that a condition failed, as opposed to a lock or an object that is missing.
_MOVED = re.compile(
    r"is at [0-9a-f]+ but expected|reference already exists|unable to resolve reference"
    r"|reference is missing but expected|but is a regular ref|is a symref|expected symref",
)


@dataclass(frozen=True, slots=True)
class Ref:
    """One ref.

    Attributes:
        name: in full.
        oid: the object that it names.
        peeled: the commit that a tag leads to, where tags were asked for; else `oid`.
        symref: the full name that a symbolic ref stands for.
        upstream: the full name of the ref that a branch follows, here.
    """

    name: str
    oid: str
    peeled: str
    symref: str | None = None
    upstream: str | None = None


@dataclass(frozen=True, slots=True)
class Refs:
    """Refs by full name, as they were in one reading.

    Attributes:
        by_name: full name to `Ref`.
        broken: names of refs that git can't resolve or whose object is lost, as far as it looked.
    """

    by_name: Mapping[str, Ref] = field(default_factory=dict)
    broken: tuple[str, ...] = ()

    def get(self, name: str) -> str | None:
        """The object id of a full ref name, or None."""
        ref = self.by_name.get(name)
        return ref.oid if ref else None

    @property
    def heads(self) -> dict[str, str]:
        """Short branch name to oid."""
        return self._under(HEADS)

    def remote(self, name: str) -> dict[str, str]:
        """Short name of a remote's branch to oid, as last fetched; its HEAD left out."""
        found = self._under(f"{REMOTES}{name}/")
        found.pop("HEAD", None)
        return found

    def _under(self, prefix: str) -> dict[str, str]:
        return {name[len(prefix) :]: ref.oid for name, ref in self.by_name.items() if name.startswith(prefix)}


@dataclass(frozen=True, slots=True)
class Change:
    """A ref's move: `new` None deletes it, `old` None says that it must not exist yet."""

    ref: str
    new: str | None
    old: str | None


def read(git: Git, *patterns: str) -> Refs:
    """Reads the refs under `patterns` (prefixes; branches and remote-tracking ones by default), in one call.

    Raises:
        ProcessFailed: git failed.
    """
    wanted = patterns or DEFAULT
    # To peel a tag git opens the object; a branch names a commit already.
    result = _listed(git, wanted, peel=not all(each.startswith(DEFAULT) for each in wanted))
    lost: tuple[str, ...] = ()
    if "missing object" in result.stderr and result.returncode:
        # One lost object would hide every ref: list them as they are, and peel them one by one.
        result = _listed(git, wanted, peel=False)
        found, lost = _peeled(git, _refs(result.check().stdout))
    else:
        found = _refs(result.check().stdout)
    return Refs({ref.name: ref for ref in found}, (*_BROKEN.findall(result.stderr), *lost))


def _listed(git: Git, wanted: Sequence[str], *, peel: bool) -> Result:
    peeled = "%(*objectname)" if peel else ""
    shape = f"%(refname)%00%(objectname)%00{peeled}%00%(symref)%00%(upstream)"
    return git.run("for-each-ref", f"--format={shape}", "--", *wanted)


def _refs(output: bytes) -> list[Ref]:
    rows = (line.split("\0") for line in output.decode("utf-8", "surrogateescape").split("\n") if line)
    return [
        Ref(name, oid, peeled or oid, symref or None, upstream or None)
        for name, oid, peeled, symref, upstream in rows
    ]


def _peeled(git: Git, refs: Sequence[Ref]) -> tuple[list[Ref], tuple[str, ...]]:
    """The refs with what they lead to, and the names of those whose object is lost."""
    asked = "".join(f"{ref.oid}^{{}}\n" for ref in refs).encode()
    said = git.out("cat-file", "--batch-check=%(objectname)", stdin=asked).decode().split("\n")
    pairs = list(zip(refs, said[: len(refs)], strict=True))
    lost = tuple(ref.name for ref, answer in pairs if answer.endswith(" missing"))
    return [ref if ref.name in lost else replace(ref, peeled=answer) for ref, answer in pairs], lost


def update(git: Git, changes: Sequence[Change], message: str, *, trusted: bool = False) -> None:
    """Moves all refs in one transaction, or none. HEAD is moved itself, never the branch behind it.

    Args:
        message: for the reflog; one line.
        trusted: whether the user's `reference-transaction` hook runs.

    Raises:
        WorldMoved: a ref is not at its `old`; nothing was changed.
        ProcessFailed: git refused for another reason (a lock, a missing object); nothing was changed.
    """
    if not changes:
        return
    script = ["start\0"]
    for change in changes:
        if change.ref == "HEAD":
            script.append("option no-deref\0")
        if change.new is None and change.old is not None:
            script.append(f"delete {change.ref}\0{change.old}\0")
        elif change.new is None:
            script.append(f"verify {change.ref}\0\0")
        elif change.old is None:
            script.append(f"create {change.ref}\0{change.new}\0")
        else:
            script.append(f"update {change.ref}\0{change.new}\0{change.old}\0")
    script += ["prepare\0", "commit\0"]
    said = os.fsencode("".join(script))
    result = git.run("update-ref", "-m", message, "--stdin", "-z", stdin=said, trusted=trusted)
    if result.returncode and _MOVED.search(result.stderr):
        last = shown(result.stderr.strip().rpartition("\n")[2].removeprefix("fatal: "))
        raise WorldMoved(f"a ref moved meanwhile: {last}", refs=[change.ref for change in changes])
    result.check()
