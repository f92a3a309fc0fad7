"""Reads many git objects in few processes: one that is missing, damaged or huge costs no other its answer.

Fetches nothing, also not in a partial clone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from raccord.git.repo import Repository
from raccord.git.run import Git
from raccord.kernel.proc import Result

BATCH = 32 << 20  # bytes that are held in memory at once
PROTOCOLS = ("file", "ftp", "ftps", "git", "http", "https", "ssh")
OFFLINE = ("allow", *(f"{name}.allow" for name in PROTOCOLS))
NO_FETCH_SINCE = (2, 45, 0)  # since then GIT_NO_LAZY_FETCH is heeded
DAMAGED = "its object is damaged"
MISSING = "its object is missing"


@dataclass(frozen=True)
class Objects:
    """The objects of a repository.

    Attributes:
        git: git at the repository; it opens no connection for an object that a partial clone lacks.
    """

    repo: Repository

    @cached_property
    def git(self) -> Git:
        git = self.repo.git.using(GIT_NO_LAZY_FETCH="1")
        if not self.partial:
            return git
        never = (word for name in OFFLINE for word in ("-c", f"protocol.{name}=never"))
        return replace(git, settings=(*git.settings, *never))

    @cached_property
    def partial(self) -> bool:
        """Whether the repository is a partial clone."""
        settings = self.repo.settings
        return bool(settings.get("extensions.partialclone") or settings.under("remote", "promisor"))

    @cached_property
    def _here(self) -> frozenset[str] | None:
        """Every object that is here, where to ask for another would make git fetch it."""
        if not self.partial or self.repo.version >= NO_FETCH_SINCE:
            return None
        return frozenset(oid for oid, _, _ in self.every())

    def every(self) -> Iterator[tuple[str, str, int]]:
        """Object id, type and size of each object that is here, whoever leads to it."""
        said = self.git.run(
            "cat-file", "--batch-all-objects", "--batch-check", "--unordered", "--buffer"
        ).check()
        for line in said.stdout.decode("ascii", "replace").splitlines():
            words = line.split(" ")
            if len(words) == 3:  # else it is damaged
                yield words[0], words[1], int(words[2])

    def look(self, names: Iterable[str]) -> list[tuple[str, str, int] | None]:
        """Object id, type and size of each name, such as `<commit>:<path>`; None for what is not there."""
        found: list[tuple[str, str, int] | None] = []
        for _, words, _ in self._asked(list(names), "--batch-check"):
            found.append((words[0], words[1], int(words[2])) if words else None)
        return found

    def read(self, oids: Iterable[str], limit: int) -> Iterator[tuple[str, bytes | str]]:
        """The bytes of each object, or why there are none: it is missing, damaged, or longer than `limit`."""
        wanted = list(dict.fromkeys(oids))
        here = self._here
        asked = [oid for oid in wanted if here is None or oid in here]
        yield from ((oid, MISSING) for oid in wanted if here is not None and oid not in here)
        some: list[str] = []
        total = 0
        for oid, seen in zip(asked, self.look(asked), strict=True):
            if seen is None:
                yield oid, MISSING
            elif seen[2] > limit:
                yield oid, f"{seen[2]} bytes: more than {limit}"
            else:
                some.append(oid)
                total += seen[2]
                if total > BATCH:
                    yield from self._contents(some)
                    some, total = [], 0
        yield from self._contents(some)

    def _contents(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes | str]]:
        for oid, words, data in self._asked(oids, "--batch"):
            yield oid, data if words else DAMAGED

    def _asked(self, names: Sequence[str], how: str) -> Iterator[tuple[str, list[str], bytes]]:
        """Name, "oid type size" as words (none where git has no answer) and content of each object."""
        rest = list(names)
        while rest:
            stdin = b"".join(name.encode("utf-8", "surrogateescape") + b"\0" for name in rest)
            result = self.git.run("cat-file", "-z", how, "--buffer", stdin=stdin)
            done = 0
            for words, data in answers(rest, result, content=how == "--batch"):
                yield rest[done], words, data
                done += 1
            if done == len(rest):
                return
            # Git ends at the first damaged object.
            if not result.returncode:
                replace(result, returncode=1).check()
            yield rest[done], [], b""
            rest = rest[done + 1 :]


def answers(names: Sequence[str], result: Result, *, content: bool) -> Iterator[tuple[list[str], bytes]]:
    """What `cat-file` says of each name, as far as it got."""
    out, at = result.stdout, 0
    for name in names:
        # It repeats a name that leads nowhere, newlines included.
        echoed = name.encode("utf-8", "surrogateescape")
        verdict = next(
            (end for end in (b" missing\n", b" ambiguous\n") if out.startswith(echoed + end, at)), None
        )
        if verdict is not None:
            at += len(echoed) + len(verdict)
            yield [], b""
            continue
        end = out.find(b"\n", at)
        words = out[at:end].decode("ascii", "replace").split(" ") if end >= 0 else []
        if len(words) != 3 or not words[2].isdigit():
            return
        at = end + 1
        data = b""
        if content:
            size = int(words[2])
            data = out[at : at + size]
            if len(data) < size:
                return
            at += size + 1
        yield words, data
