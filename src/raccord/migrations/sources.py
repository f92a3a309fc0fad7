"""Finds revisions wherever they are: every content of every missing one, with every place that holds it.

Reads one source after the other, each once, whatever the length of the chain; a revision that is found names
parents, which are looked for as well. The order is that of `contents.ORDER`. Executes nothing of what it
finds and writes nothing but raccord's cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial

from raccord.errors import ProcessFailed
from raccord.git.repo import Repository
from raccord.git.worktrees import Worktree
from raccord.migrations import dangling, file_sources, lfs
from raccord.migrations.archive import Archive, Shelf, sightings
from raccord.migrations.cache import Cache
from raccord.migrations.candidates import Candidates
from raccord.migrations.contents import ORDER, Candidate, Found, Kind, Searched, Sighting, Trouble
from raccord.migrations.file_sources import Files, Tree
from raccord.migrations.git_history import EVERYWHERE, History, Row, Walk, pathspecs, walk
from raccord.migrations.git_sources import JOBS, GitSources
from raccord.migrations.headers import LIMIT, Headers
from raccord.migrations.objects import Objects
from raccord.migrations.reflogs import logged
from raccord.migrations.revision import Revision
from raccord.migrations.sightings import Sightings


class Sources:
    """All places where a revision may be. What was read is kept for the next question.

    Args:
        folders: the version folders, relative to the top of a worktree; "" is the top itself.
        outside: patterns of directories that git doesn't list, absolute, such as "/home/me/Project-*".
        archive: raccord's own store.
    """

    def __init__(
        self,
        repo: Repository,
        trees: Sequence[Worktree],
        folders: Iterable[str],
        *,
        outside: Sequence[str] = (),
        cache: Cache | None = None,
        archive: Archive | None = None,
    ) -> None:
        self.repo, self.trees, self.outside = repo, trees, outside
        self.folders = tuple(dict.fromkeys(folder.strip("/") for folder in folders))
        self.cache = cache or Cache()
        self.archive = archive or Archive(repo)
        self.objects = Objects(repo)
        self.headers = Headers(repo, self.objects, self.cache)
        self.history = History(repo, self.objects.git, self.cache)
        self.git = GitSources(self.objects, trees, self.cache)
        self.files = Files(self.headers, self.cache)
        self.all = Sightings(self.headers)
        self._candidates = Candidates(self.all, self.headers)
        self._troubles: list[Trouble] = []
        self._searched: dict[tuple[Kind, bool], tuple[int, int]] = {}
        self._done: set[str] = set()
        self._held: dict[tuple[str, tuple[str, ...]], frozenset[str]] = {}
        self._folders = set(self.folders)

    def find(self, wanted: Iterable[str], known: Set[str] = frozenset(), *, thorough: bool = False) -> Found:
        """Every content of the wanted revisions and of what they stand on.

        Args:
            wanted: ids that are missing somewhere.
            known: ids and labels that are not to be looked for.
            thorough: look into every source, also for what the first ones have.

        Raises:
            ProcessFailed: git failed where no part of the answer can be trusted.
            StoreError: the cache can't be written.
        """
        wanted = tuple(dict.fromkeys(wanted))
        self.near()
        reached, nowhere = self.all.closure(wanted, known)
        # What nobody works with today may lie in the reflogs in other words.
        if thorough or nowhere or not all(map(self.all.current, reached)):
            self._past()
            reached, nowhere = self.all.closure(wanted, known)
        for stage in (self._everywhere, self._dangling):
            if thorough or nowhere:
                stage(wanted, known)
                reached, nowhere = self.all.closure(wanted, known)
        contents = self._candidates.of(reached)
        self.cache.flush()
        lost = {one: ("",) for one in reached if one not in contents}
        return Found(contents, nowhere | lost, self.searched, self.troubles(today=not nowhere))

    def near(self) -> Sightings:
        """Looks into every source that costs little: the version folders of today and of every commit."""
        if "near" not in self._done:
            self._done.add("near")
            self._archived()
            self._today(self.folders)
            self._history(self._walked(self.history.read(list(self.tips), pathspecs(self.folders))), False)
            self._look("stash", self.git.stashes(pathspecs(self.folders)))
        return self.all

    def everything(self) -> dict[str, tuple[Candidate, ...]]:
        """Every content of every revision that was seen so far."""
        return self._candidates.of(self.near().ids)

    def fetch_lfs(self, names: Iterable[str]) -> int:
        """Lets git-lfs download what pointers stand for; search anew afterwards. Returns how many.

        Args:
            names: ids; where files of such names are pointers, these alone are asked for.

        Raises:
            CannotRun: git-lfs is not there, or can't download them.
        """
        absent = list(self.all.absent())
        wanted = [one for one in absent if any(name in one.name for name in names)] or absent
        held = dict(self.objects.read([one.blob for one in wanted], LIMIT))
        data = [
            held[one.blob]
            if isinstance(held[one.blob], bytes)
            else file_sources.reread(one.where, one.path, one.kind)
            for one in wanted
        ]
        return lfs.fetch(self.repo, [one for one in data if isinstance(one, bytes)])

    def matching(self, beginning: str) -> list[str]:
        """The ids that begin so, and those with such a label, among what `near` looks at."""
        return self.near().matching(beginning)

    def troubles(self, *, today: bool = True) -> tuple[Trouble, ...]:
        """What could not be looked at, or not be read, so far.

        Args:
            today: whether old contents that can't be read are left out.
        """
        found = [*self._troubles, *self.files.troubles, *self.git.troubles, *self._candidates.troubles]
        found += self.all.unread(today=today)
        return tuple(sorted(dict.fromkeys(found), key=lambda one: ORDER.index(one.kind)))

    def held_by(self, remote: str, beside: Iterable[str] = ()) -> frozenset[str]:
        """The digests of all revisions that a remote's refs hold, as last fetched, today or in their history.

        Args:
            beside: folders that are looked at as well as the version folders.
        """
        folders = tuple(sorted({*self.folders, *filter(None, beside)}))
        if (remote, folders) not in self._held:
            below = f"refs/remotes/{remote}/"
            tips = [ref.oid for name, ref in self.git.refs.by_name.items() if name.startswith(below)]
            rows = self.history.read(tips, pathspecs(folders), of=remote).rows
            files = {(row.blob, row.path.rpartition("/")[2]) for row in rows}
            self.headers.look(files)
            headers = (self.headers.get(blob, name) for blob, name in files)
            self._held[remote, folders] = frozenset(
                header.digest for header in headers if isinstance(header, Revision)
            )
            self.cache.flush()
        return self._held[remote, folders]

    @property
    def searched(self) -> tuple[Searched, ...]:
        """What was looked at so far."""
        return tuple(
            Searched(kind, everywhere, places, files)
            for (kind, everywhere), (places, files) in sorted(
                self._searched.items(), key=lambda item: (item[0][1], ORDER.index(item[0][0]))
            )
        )

    @cached_property
    def shelf(self) -> Shelf:
        """What was in raccord's own store when it was first asked for.

        Raises:
            RaccordError: it can't be read.
        """
        return self.archive.read()

    @cached_property
    def tips(self) -> dict[str, str]:
        """Commit to the name of a ref that stands on it."""
        return self.git.tips()

    @cached_property
    def _logged(self) -> dict[str, str]:
        return {
            oid: name for oid, name in logged(self.repo, self.objects.git).items() if oid not in self.tips
        }

    @cached_property
    def _roots(self) -> list[Tree]:
        """The worktrees, and the directories that git doesn't list."""
        here: list[Tree] = []
        for tree in self.trees:
            if tree.missing:
                there = tree.path.is_dir()
                reason = "is no worktree of this repository any more" if there else "its directory is gone"
                self._troubles.append(Trouble("worktree", str(tree.path), "", reason, "git worktree repair"))
                here += [Tree("directory", str(tree.path))] if there else []
            elif not tree.bare:
                here.append(Tree("worktree", str(tree.path)))
        more, troubles = file_sources.directories(self.outside, [tree.top for tree in here])
        self._troubles += troubles
        return [*here, *more]

    def _today(self, folders: Sequence[str], *, everywhere: bool = False) -> None:
        """What lies in version folders today."""
        seen = self.files.folders(self._roots, folders)
        for kind in ("worktree", "directory"):
            places = sum(root.kind == kind for root in self._roots)
            self._count(kind, everywhere, places, self.all.add(one for one in seen if one.kind == kind))
        beside = {(one.where, one.path, one.blob) for one in seen}
        staged = [one for one in self.git.index(folders) if one[1:4] not in beside]
        self._look("index", staged, everywhere, places=len(self.trees))
        self._look("ref", self.git.at_tips(self.tips, folders), everywhere, places=len(self.tips))

    def _archived(self) -> None:
        self._look("archive", sightings(self.shelf))

    def _walked(self, found: Walk, kind: Kind = "history") -> list[Row]:
        for tip, said in found.broken.items():
            where = self.tips.get(tip) or self._logged.get(tip, tip)
            self._troubles.append(Trouble(kind, where, "", f"its history is damaged: {said}", "git fsck"))
        return found.rows

    def _history(self, rows: Sequence[Row], everywhere: bool, kind: Kind = "history") -> None:
        labels = self.tips if kind == "history" else self._logged
        self._candidates.add(rows)
        self._look(
            kind,
            [
                Sighting(kind, labels.get(row.tip, ""), row.path, row.blob, row.commit, row.author, row.time)
                for row in rows
            ],
            everywhere,
            places=len({row.commit for row in rows}),
        )

    def _past(self) -> None:
        """The reflogs, in the version folders."""
        if "past" not in self._done:
            self._done.add("past")
            paths = pathspecs(self.folders)
            found = walk(self.objects.git, list(self._logged), paths, without=list(self.tips))
            self._history(self._unstashed(self._walked(found, "reflog")), False, "reflog")

    def _everywhere(self, wanted: Sequence[str], known: Set[str]) -> None:
        """Every `.py` of every source, then what lies today where a missing one was seen."""
        if "everywhere" not in self._done:
            self._done.add("everywhere")
            self._scattered()
            self._look("index", self.git.index_anywhere(), True, places=len(self.trees))
            tips, past = list(self.tips), list(self._logged)
            self._history(self._walked(self.history.read(tips, EVERYWHERE, worth=self._worth)), True)
            self._look("stash", self.git.stashes(EVERYWHERE), True)
            found = walk(self.objects.git, past, EVERYWHERE, without=tips)
            self._history(self._worth(self._unstashed(self._walked(found, "reflog"))), True, "reflog")
        while True:
            reached, _ = self.all.closure(wanted, known)
            seen_in = {
                one.path.rpartition("/")[0] for id_ in reached for one, _ in self.all.of(id_) if one.path
            }
            if not (new := sorted(seen_in - self._folders)):
                return
            self._folders.update(new)
            self._today(new, everywhere=True)

    def _scattered(self) -> None:
        """The files of all trees that git does not have as they are."""
        trees = [root for root in self._roots if root.kind == "worktree"]
        others = [root for root in self._roots if root.kind != "worktree"]
        changed = partial(file_sources.changed, self.objects.git)
        with ThreadPoolExecutor(JOBS) as pool:
            answers = list(pool.map(changed, [tree.top for tree in trees]))
        files = 0
        for tree, answer in zip(trees, answers, strict=True):
            if isinstance(answer, ProcessFailed):
                self._troubles.append(Trouble("worktree", tree.top, "", answer.message, "git status"))
            else:
                files += self.all.add(self.files.anywhere(tree, answer))
        self._count("worktree", True, len(trees), files)
        files = sum(self.all.add(self.files.anywhere(one, self.files.walked(one))) for one in others)
        self._count("directory", True, len(others), files)

    def _unstashed(self, rows: list[Row]) -> list[Row]:
        """Those of the rows that are not a stash's own, which has a reflog for its list."""
        stashed = {one.commit for one, _ in self.all.held("stash")}
        return [row for row in rows if row.commit not in stashed]

    def _worth(self, rows: list[Row]) -> list[Row]:
        """Those of the rows whose contents are revisions."""
        self.headers.look({(row.blob, row.path.rpartition("/")[2]) for row in rows}, marked=True)
        return [row for row in rows if self.headers.get(row.blob, row.path.rpartition("/")[2]) is not None]

    def _dangling(self, *_: object) -> None:
        if "dangling" not in self._done:
            self._done.add("dangling")
            found, troubles, number = dangling.dangling(
                self.objects, self.headers, [*self.tips, *self._logged]
            )
            self._troubles += troubles
            self._look("dangling", found, True, places=number)

    def _look(
        self,
        kind: Kind,
        sightings: Sequence[Sighting],
        everywhere: bool = False,
        *,
        places: int | None = None,
    ) -> None:
        """Looks at contents that git holds, and takes them in."""
        self.headers.look({(one.blob, one.name) for one in sightings}, marked=everywhere)
        places = len({one.where for one in sightings}) if places is None else places
        self._count(kind, everywhere, places, self.all.add(sightings))

    def _count(self, kind: Kind, everywhere: bool, places: int, files: int) -> None:
        old = self._searched.get((kind, everywhere), (0, 0))
        self._searched[kind, everywhere] = (max(places, old[0]), files + old[1])
        self._candidates.stale()
