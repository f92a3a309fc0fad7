"""Commit objects as bytes: read many in one process, change tree, parents and committer, keep all else.

Never decodes a message or a name: a commit in Latin-1 stays the bytes that it was.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from raccord.errors import CannotRun
from raccord.git.run import Git

# A signature is of the old bytes, and a mergetag of the old parents; `git replay` drops them too.
# All other headers are kept, `encoding` and those of other tools alike (`change-id`).
STALE = (b"gpgsig", b"gpgsig-sha256", b"mergetag")
OBJ_COMMIT = 1


@dataclass(frozen=True, slots=True)
class Signature:
    """Who commits, and when.

    Attributes:
        when: seconds since the epoch.
        zone: the offset from UTC, such as "+0200".
    """

    name: str
    email: str
    when: int
    zone: str = "+0000"

    def line(self) -> bytes:
        """As it stands in a commit, without the bytes that would end a field there."""
        name, email = (
            re.sub(rb"[\0\n<>]", b"", part.encode("utf-8", "surrogateescape")).strip()
            for part in (self.name, self.email)
        )
        return b"%s <%s> %d %s" % (name, email, self.when, self.zone.encode())


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as it is stored.

    Attributes:
        headers: those after the parents, each with its continuation lines, no newline at the end.
        message: every byte after the blank line.
    """

    oid: str
    tree: str
    parents: tuple[str, ...]
    headers: tuple[bytes, ...]
    message: bytes

    def header(self, name: bytes) -> bytes:
        """The first header of this name, without it; empty when there is none."""
        wanted = name + b" "
        return next((each[len(wanted) :] for each in self.headers if each.startswith(wanted)), b"")

    def moved(self, tree: str, parents: Sequence[str], committer: Signature) -> bytes:
        """The body of the same commit elsewhere: author, message and encoding kept, signatures dropped."""
        kept = []
        for header in self.headers:
            name = header.split(b" ", 1)[0]
            if name == b"committer":
                kept.append(b"committer " + committer.line())
            elif name not in STALE:
                kept.append(header)
        return body(tree, parents, kept, self.message)


def body(tree: str, parents: Sequence[str], headers: Iterable[bytes], message: bytes) -> bytes:
    """The bytes of a commit object, without git's own `commit <size>` in front."""
    lines = [b"tree " + tree.encode(), *(b"parent " + parent.encode() for parent in parents), *headers]
    return b"\n".join(lines) + b"\n\n" + message


def signed(tree: str, parents: Sequence[str], who: Signature, message: bytes) -> bytes:
    """The body of a new commit whose author is its committer."""
    return body(tree, parents, [b"author " + who.line(), b"committer " + who.line()], message)


def parsed(oid: str, data: bytes) -> Commit:
    """Reads the bytes of a commit object."""
    head, _, message = data.partition(b"\n\n")
    # A line that begins with a space continues the header before it.
    lines = re.split(rb"\n(?! )", head)
    tree, rest = lines[0].removeprefix(b"tree ").decode("ascii", "replace"), 1
    while rest < len(lines) and lines[rest].startswith(b"parent "):
        rest += 1
    parents = tuple(line.removeprefix(b"parent ").decode("ascii", "replace") for line in lines[1:rest])
    return Commit(oid, tree, parents, tuple(lines[rest:]), message)


def read(git: Git, oids: Iterable[str]) -> dict[str, Commit]:
    """Reads commits in one process; one that is missing, damaged or no commit is left out of the answer.

    Raises:
        ProgramMissing: there is no git.
    """
    wanted = list(dict.fromkeys(oids))
    if not wanted:
        return {}
    result = git.run("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in wanted).encode())
    if result.returncode == 0:
        return dict(_answers(wanted, result.stdout))
    # A damaged object ends git: halve until it stands alone.
    if len(wanted) == 1:
        return {}
    middle = len(wanted) // 2
    return read(git, wanted[:middle]) | read(git, wanted[middle:])


def _answers(wanted: Sequence[str], data: bytes) -> Iterator[tuple[str, Commit]]:
    at = 0
    for oid in wanted:
        end = data.index(b"\n", at)
        # "<oid> commit <size>", else "<oid> missing" alone.
        words = data[at:end].split(b" ")
        at = end + 1
        if len(words) == 3:
            size = int(words[2])
            if words[1] == b"commit":
                yield oid, parsed(oid, data[at : at + size])
            at += size + 1


def oid_of(data: bytes) -> str:
    """The name of a commit object with this body; its tree's name tells the object format."""
    return _hash(data)(b"commit %d\0" % len(data) + data).hexdigest()


def pack(bodies: Sequence[bytes]) -> bytes:
    """A pack of commits (at least one), as gitformat-pack(5) has it: for `git unpack-objects`."""
    parts = [b"PACK" + struct.pack(">II", 2, len(bodies))]
    for data in bodies:
        size, first = len(data) >> 4, OBJ_COMMIT << 4 | len(data) & 15
        head = bytearray()
        while size:
            head.append(first | 0x80)
            first, size = size & 0x7F, size >> 7
        head.append(first)
        parts += [bytes(head), zlib.compress(data, 1)]
    packed = b"".join(parts)
    return packed + _hash(bodies[0])(packed).digest()


def _hash(data: bytes) -> Callable[[bytes], hashlib._Hash]:
    if data.index(b"\n") == len("tree ") + 64:
        return hashlib.sha256
    return partial(hashlib.sha1, usedforsecurity=False)


def committer(git: Git) -> Signature:
    """Who commits, now, as git would say.

    Raises:
        CannotRun: git knows no identity.
    """
    asked = git.run("var", "GIT_COMMITTER_IDENT")
    text = asked.stdout.decode("utf-8", "surrogateescape").strip()
    if asked.returncode or "> " not in text:
        raise CannotRun("git does not know who you are", hint="git config --global user.name '…'")
    who, _, when = text.rpartition("> ")
    name, _, email = who.partition(" <")
    seconds, _, zone = when.partition(" ")
    return Signature(name, email, int(seconds), zone)
