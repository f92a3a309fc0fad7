"""Fetch from, ask and push to a remote: one connection each, every forced update with its pinned lease.

Never prompts, follows no submodules, pushes with no bare `--force`, fetches over no local branch.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from raccord.errors import HeldBack, ProcessTimeout
from raccord.git import connect, leftover
from raccord.git.connect import Denied, Gone, Offline
from raccord.git.hooks import find_hook
from raccord.git.refs import HEADS, REMOTES, read
from raccord.git.repo import Repository
from raccord.kernel.proc import Result

__all__ = [
    "Denied",
    "FetchResult",
    "Gone",
    "Offline",
    "Push",
    "PushResult",
    "Pushed",
    "ask",
    "default_branch",
    "fetch",
    "push",
]

WELL_KNOWN = ("main", "master", "trunk", "develop")
TRIES = 7
# Another fetch of the same repository holds or moved a ref: git gives up at once.
_RACE = re.compile(
    r"cannot lock ref|Unable to create '.*\.lock'|unable to update local ref|Another git process"
)

FETCH = (
    "fetch",
    "--prune",
    "--no-prune-tags",
    "--no-tags",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--no-write-commit-graph",
    "--no-show-forced-updates",
    "--quiet",
)


# A plan fetches too, and to plan is to look: only what connects runs, no hook of ref updates.
NO_HOOKS = ("-c", "core.hooksPath=/dev/null")
NO_COMMAND = ("-c", "core.alternateRefsCommand=false")


@dataclass(frozen=True, slots=True)
class FetchResult:
    """Which remote-tracking refs moved: full name to (old, new); None for created or pruned."""

    remote: str
    moved: dict[str, tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Push:
    """One update of a ref on the remote.

    Attributes:
        ref: the full name there, such as "refs/heads/topic".
        new: the commit it shall have; None deletes it.
        lease: the commit it must have now, None where it must not exist; heeded when `force` or a deletion.
        force: whether it may be a non-fast-forward.
    """

    ref: str
    new: str | None
    lease: str | None = None
    force: bool = False


class Pushed(Enum):
    """How an update ended."""

    OK = "ok"
    SAME = "up-to-date"
    STALE = "stale lease"
    BEHIND = "non-fast-forward"
    REJECTED = "rejected"
    UNKNOWN = "unknown"  # the connection died: settle it with `ask`


@dataclass(frozen=True, slots=True)
class PushResult:
    """How one update ended, and what the remote said of it."""

    ref: str
    status: Pushed
    message: str = ""


def fetch(repo: Repository, remote: str, *, timeout: float | None = 600.0) -> FetchResult:
    """Fetches and prunes a remote's branches, in one connection; waits for other fetches that hold refs.

    Raises:
        Offline, Denied, Gone: see there.
        CannotRun: the remote's URL would run a program.
        ProcessFailed: any other failure.
    """
    connect.check(repo, remote)
    git = repo.git.using(**connect.environment(repo))
    own = any(entry.own and entry.kind == ("core", "alternaterefscommand") for entry in repo.settings.entries)
    quiet = (*NO_HOOKS, *NO_COMMAND) if own else NO_HOOKS
    before = _tracking(repo)
    tries = 0
    while True:
        tries += 1
        try:
            result = leftover.run(repo, git, *quiet, *FETCH, *_refspecs(repo, remote), timeout=timeout)
        except ProcessTimeout:
            raise connect.silent(remote, timeout) from None
        if not result.returncode or tries == TRIES or not _RACE.search(result.stderr):
            break
        time.sleep(random.uniform(0.5, 1.5) * 0.05 * 2**tries)  # noqa: S311 (not a secret)
    connect.explain(remote, result)
    after = _tracking(repo)
    names = sorted(before.keys() | after.keys())
    moved = {name: (before.get(name), after.get(name)) for name in names}
    return FetchResult(remote, {name: (old, new) for name, (old, new) in moved.items() if old != new})


def default_branch(repo: Repository, remote: str) -> str | None:
    """The short name of the remote's default branch: as last known, else asked, else a well-known one.

    Without an answer of the remote the well-known names decide, among the branches that were fetched.
    """
    known = read(repo.git, f"{REMOTES}{remote}")
    head = known.by_name.get(f"{REMOTES}{remote}/HEAD")
    if head and head.symref:
        return head.symref.removeprefix(f"{REMOTES}{remote}/")
    try:
        said = _list(repo, remote, "--symref", "HEAD", timeout=30.0)
    except (Offline, Denied, Gone):
        said = ""
    found = re.search(rf"^ref: {HEADS}(.+)\tHEAD$", said, re.MULTILINE)
    if found:
        return found[1]
    return next((name for name in WELL_KNOWN if name in known.remote(remote)), None)


def ask(
    repo: Repository, remote: str, refs: Sequence[str], *, timeout: float | None = 60.0
) -> dict[str, str | None]:
    """What the place where `remote` is pushed to has at these full ref names, now; None for nothing.

    Raises:
        Offline, Denied, Gone: see there.
    """
    if not refs:
        return {}
    found: dict[str, str | None] = dict.fromkeys(refs)
    for line in _list(repo, remote, "", *refs, timeout=timeout).splitlines():
        oid, _, name = line.partition("\t")
        # A pattern also matches at the end of longer names.
        if name in found:
            found[name] = oid
    return found


def push(
    repo: Repository,
    remote: str,
    updates: Sequence[Push],
    *,
    atomic: bool = False,
    timeout: float | None = 600.0,
) -> dict[str, PushResult]:
    """Pushes all updates over one connection; the result of each by its ref.

    The user's pre-push hook runs. Unless `atomic`, a refused update keeps no other one back.

    Raises:
        Offline, Denied, Gone: see there; nothing was sent.
        CannotRun: the remote's URL would run a program.
        HeldBack: the pre-push hook refused; nothing was sent.
    """
    if not updates:
        return {}
    connect.check(repo, remote)
    options = ["--porcelain", "--no-follow-tags", *(["--atomic"] if atomic else [])]
    if repo.settings.get("push.recurseSubmodules") in ("on-demand", "only"):
        options.append("--recurse-submodules=no")
    specs = []
    for each in updates:
        if each.force or each.new is None:
            # Pinned: after a fetch a bare lease compares with what was fetched and protects nothing.
            options.append(f"--force-with-lease={each.ref}:{each.lease or ''}")
        specs.append(f"{each.new or ''}:{each.ref}")
    git = repo.git.using(**connect.environment(repo))
    try:
        result = leftover.run(repo, git, "push", *options, "--", remote, *specs, timeout=timeout)
    except ProcessTimeout as error:
        said = f"no answer within {timeout:g} s"
        result = Result(error.argv, error.returncode, b"", said)
    return _results(repo, remote, updates, result)


def _tracking(repo: Repository) -> dict[str, str]:
    found = read(repo.git, "refs/remotes").by_name.values()
    return {ref.name: ref.oid for ref in found if not ref.symref}


def _refspecs(repo: Repository, remote: str) -> list[str]:
    """The remote, and what to fetch where the configuration says nothing or would write over branches.

    A mirror's `+refs/*:refs/*` would, and a bare clone fetches into no ref at all.
    """
    configured = repo.settings.all(f"remote.{remote}.fetch")
    safe = [spec for spec in configured if spec.startswith("^") or f":{REMOTES}" in spec]
    if len(safe) == len(configured) and any(not spec.startswith("^") for spec in safe):
        return ["--", remote]
    if not any(not spec.startswith("^") for spec in safe):
        safe.append(f"+{HEADS}*:{REMOTES}{remote}/*")
    return ["--refmap=", "--", remote, *safe]


def narrow(repo: Repository, remote: str) -> bool:
    """Whether `fetch` leaves out some of a remote's branches, as in a clone of a single branch."""
    words = _refspecs(repo, remote)
    specs = words[words.index(remote) + 1 :] or repo.settings.all(f"remote.{remote}.fetch")
    whole = {f"{HEADS}*", "refs/*"}
    sources = {spec.lstrip("+").partition(":")[0] for spec in specs}
    return not sources & whole or any(one.startswith("^") for one in sources)


def _list(repo: Repository, remote: str, option: str, *refs: str, timeout: float | None) -> str:
    connect.check(repo, remote)
    place = remote
    if not option and repo.settings.all(f"remote.{remote}.pushurl"):
        place = repo.git.line("remote", "get-url", "--push", "--", remote)
    options = [option] if option else []
    git = repo.git.using(**connect.environment(repo))
    try:
        result = git.run("ls-remote", *options, "--", place, *refs, trusted=True, timeout=timeout)
    except ProcessTimeout:
        raise Offline(
            f"{remote} gave no answer within {timeout:g} s", hint=f"git ls-remote {remote}"
        ) from None
    connect.explain(remote, result)
    return result.stdout.decode("utf-8", "surrogateescape")


def _results(repo: Repository, remote: str, updates: Sequence[Push], result: Result) -> dict[str, PushResult]:
    lines = {}
    for line in result.stdout.decode("utf-8", "surrogateescape").splitlines():
        flag, _, rest = line.partition("\t")
        spec, _, summary = rest.partition("\t")
        if len(flag) == 1 and summary:
            lines[spec.rpartition(":")[2]] = (flag, summary)
    if result.returncode and not lines:
        connect.explain(remote, result, unsent=True)
        if connect.alive(result) and _hooked(repo):
            raise HeldBack(
                f"the pre-push hook refused the push to {remote}",
                hint="mend what it says, or see git help githooks",
                output=connect.redacted(result.stderr),
            )
    remarks = connect.remarks(result.stderr)
    found = {}
    for each in updates:
        if each.ref in lines:
            found[each.ref] = _result(each.ref, *lines[each.ref], remarks)
        else:
            last = connect.redacted(result.stderr).strip().rpartition("\n")[2]
            found[each.ref] = PushResult(each.ref, Pushed.UNKNOWN, last)
    return found


def _result(ref: str, flag: str, summary: str, remarks: str) -> PushResult:
    if flag in (" ", "+", "-", "*"):
        return PushResult(ref, Pushed.OK, summary)
    if flag == "=":
        return PushResult(ref, Pushed.SAME, summary)
    if "[remote failure]" in summary:
        return PushResult(ref, Pushed.UNKNOWN, summary)
    if "(stale info)" in summary:
        return PushResult(ref, Pushed.STALE, summary)
    if summary.startswith("[rejected]") and re.search(
        r"\((non-fast-forward|fetch first|needs force)\)", summary
    ):
        return PushResult(ref, Pushed.BEHIND, summary)
    by_hook = "[remote rejected]" in summary and remarks
    return PushResult(ref, Pushed.REJECTED, f"{summary}\n{remarks}" if by_hook else summary)


def _hooked(repo: Repository) -> bool:
    return repo.top is not None and find_hook(repo, "pre-push", repo.top) is not None
