"""The forks of a repository: databases that were cloned for one worktree, and whose worktree that is.

What is known of each lies in raccord's own folder. That its worktree is there, a file in the worktree's own
git directory says, which git removes with it: a folder on a disk that isn't mounted is not taken for one that
is gone.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from raccord.errors import NotOurs, StoreError
from raccord.git.worktrees import Worktree
from raccord.kernel import fs
from raccord.migrations.standing import Named
from raccord.model.plan import Json
from raccord.model.text import shown

FOLDER = "forks"  # below raccord's own folder
TOKENS = "raccord-forks"  # in a worktree's git directory
FILES = "raccord-forks"  # beside raccord's own folder: the SQLite files, which an eject leaves


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an env file says which database a worktree uses.

    Attributes:
        file: absolute.
        variable: whose value is the URL.
        old, new: the part of the URL that names the database, before and after.
    """

    file: str
    variable: str
    old: str
    new: str

    def back(self) -> Spot:
        """The way back."""
        return replace(self, old=self.new, new=self.old)


@dataclass(frozen=True, slots=True)
class Fork:
    """A database that was cloned for a worktree.

    Attributes:
        id: 16 hexadecimal digits, which its mark has too.
        name: of the PostgreSQL database, or the path of the SQLite file.
        named: the fork, as a step finds it.
        source: what it was made of, as a step finds it.
        gitdir: the worktree's own git directory; "" where that is gone.
        chain: what was applied to it: each revision with the beginning of its content's digest.
        key: of that chain.
        heads: the ids in its version table then.
        rows, objects: digests of what was in it then; "" until it was read back.
        made: seconds since the epoch.
        spots: where the worktree was pointed at it.
    """

    id: str
    name: str
    named: Named
    source: Named
    gitdir: str
    chain: Mapping[str, str]
    key: str
    heads: tuple[str, ...]
    rows: str = ""
    objects: str = ""
    made: float = 0.0
    spots: tuple[Spot, ...] = ()

    def document(self) -> dict[str, Json]:
        """As JSON."""
        return {
            **asdict(self),
            "named": self.named.payload(),
            "source": self.source.payload(),
            "chain": dict(self.chain),
            "heads": list(self.heads),
            "spots": [asdict(one) for one in self.spots],
        }

    @classmethod
    def parse(cls, document: Mapping[str, Json]) -> Fork:
        """Reads itself back from JSON."""
        return cls(
            **{
                **document,
                "named": Named(**document["named"]),
                "source": Named(**document["source"]),
                "heads": tuple(document["heads"]),
                "spots": tuple(Spot(**one) for one in document["spots"]),
            }
        )

    @property
    def mark(self) -> str:
        """What its database says of itself."""
        said = {"fork": self.id, "key": self.key, "of": self.source.title, "worktree": self.named.worktree}
        return json.dumps(said)

    def owns(self, mark: str) -> bool:
        """Whether a database that bears a mark is this fork.

        Raises:
            NotOurs: another one has its name.
        """
        try:
            if json.loads(mark)["fork"] == self.id:
                return True
        except (ValueError, KeyError, TypeError):
            pass
        raise NotOurs(f"{self.named.title} is another fork's by now", hint="raccord migrations status")

    @property
    def title(self) -> str:
        """Its name for a person."""
        return shown(self.name)


class Forks:
    """What is known of a repository's forks.

    Args:
        state: raccord's own folder.
    """

    def __init__(self, state: str | Path) -> None:
        self.folder = Path(state) / FOLDER
        self.files = Path(state).parent / FILES

    def all(self) -> list[Fork]:
        """Every fork, the oldest first.

        Raises:
            StoreError: what is known of one can't be read.
        """
        names = [name for name in fs.names(self.folder) if name.endswith(".json")]
        found = [self.get(name.removesuffix(".json")) for name in names]
        return sorted(filter(None, found), key=lambda one: (one.made, one.id))

    def get(self, id_: str) -> Fork | None:
        """What is known of one; None where there is none of this id."""
        source = fs.read_or_none(self._document(id_))
        if source is None:
            return None
        try:
            return Fork.parse(json.loads(source))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"what is known of the fork {id_} can't be read", hint=f"less {self._document(id_)}"
            ) from error

    def keep(self, fork: Fork) -> None:
        """Writes down what is known, and that the worktree has it."""
        fs.make_dirs(self.folder)
        text = json.dumps(fork.document(), indent=1).encode("ascii")
        fs.write_atomic(self._document(fork.id), text, mode=0o600)
        tokens = Path(fork.gitdir) / TOKENS
        if fork.gitdir and tokens.parent.is_dir():
            fs.make_dirs(tokens)
            fs.write_atomic(tokens / fork.id, b"")

    def forget(self, fork: Fork) -> None:
        """Takes both away."""
        fs.unlink(self._document(fork.id))
        if fork.gitdir:
            tokens = Path(fork.gitdir) / TOKENS
            fs.unlink(tokens / fork.id)
            fs.remove_empty(tokens)

    def _document(self, id_: str) -> Path:
        return self.folder / f"{id_}.json"


def new_id() -> str:
    """An id that nobody has."""
    return secrets.token_hex(8)


def owner(fork: Fork, trees: Iterable[Worktree]) -> Worktree | None:
    """The worktree that a fork was made for, moved or not; None where git knows it no more."""
    return next((tree for tree in trees if fs.signature(tree.gitdir / TOKENS / fork.id) is not None), None)
