"""The step that pushes a branch: leased, settled with the remote when in doubt, many over one connection.

A forced update carries a lease pinned to the commit that was integrated; a protected branch is never
forced, whatever the plan says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from raccord.code.facts import PushIntent
from raccord.errors import HeldBack, RaccordError, Unanswered, WorldMoved
from raccord.git.refs import read
from raccord.git.remote import Push, Pushed, PushResult, ask, push
from raccord.git.repo import Repository
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Step
from raccord.model.text import shown

KIND = "branch.push"
LANDED = (Pushed.OK, Pushed.SAME)


def push_step(intent: PushIntent, branch: str, *, stack: str = "", batch: bool = True) -> Step:
    """The step that brings a remote's branch to a commit.

    Args:
        stack: names the stack that the branch belongs to; a stack is pushed whole or not at all.
        batch: whether it goes over one connection with the other branches of its stage.
    """
    how = " (forced, leased)" if intent.force else ""
    remote = intent.remote
    return Step(
        KIND,
        1,
        f"push {shown(branch)} to {remote}{how}",
        {
            "remote": remote,
            "dest": intent.dest,
            "new": intent.new,
            "lease": intent.lease,
            "force": intent.force,
            "atomic": bool(stack),
        },
        before=intent.lease,
        after=intent.new,
        resources=(f"branch:{branch}",),
        shared=(f"remote:{remote}",),
        batch=(f"{remote} {stack}" if stack else remote) if batch else "",
        pins=tuple(oid for oid in (intent.new, intent.lease) if oid),
    )


class PushHandler:
    """Pushes.

    Args:
        repo: the repository.
        protected: whether a full ref on a remote must never be forced.
        pushed: told the remote, the ref and the commit of each push that landed.
        doubted: told a remote whose tracking refs may say what it no longer has: somebody else pushed, or git
            did not move them after a push of ours.
    """

    kind, version = KIND, 1

    def __init__(
        self,
        repo: Repository,
        protected: Callable[[str], bool],
        pushed: Callable[[str, str, str | None], None],
        doubted: Callable[[str], None],
    ) -> None:
        self._repo, self._protected, self._pushed, self._doubted = repo, protected, pushed, doubted

    def probe(self, step: Step, context: Context) -> Position:
        """Asks the remote."""
        return self.probe_batch([step], [context])[0]

    def probe_batch(self, steps: Sequence[Step], contexts: Sequence[Context]) -> list[Position]:
        """Asks the remote about all of them at once."""
        remote, dests = steps[0].payload["remote"], [step.payload["dest"] for step in steps]
        self._doubted(remote)
        try:
            found = ask(self._repo, remote, dests)
        except RaccordError:
            return [Position.UNKNOWN] * len(steps)
        return [_position(step, found[step.payload["dest"]]) for step in steps]

    def apply(self, step: Step, context: Context) -> Outcome:
        """Pushes one branch."""
        answer = self.apply_batch([step], [context])[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def apply_batch(self, steps: Sequence[Step], contexts: Sequence[Context]) -> list[Outcome | Exception]:
        """Pushes all of them over one connection; each has its own answer."""
        remote = steps[0].payload["remote"]
        refused = [bool(s.payload["force"] and self._protected(s.payload["dest"])) for s in steps]
        updates = [
            Push(s.payload["dest"], s.payload["new"], s.payload["lease"], s.payload["force"])
            for s, no in zip(steps, refused, strict=True)
            if not no
        ]
        results: dict[str, PushResult] = {}
        if updates:
            try:
                results = push(self._repo, remote, updates, atomic=bool(steps[0].payload["atomic"]))
            except RaccordError as error:
                self._doubted(remote)
                held = HeldBack(error.message, hint=error.hint or "raccord sync", finding="push.failed")
                return [held] * len(steps)
        if not self._told(remote, updates):
            self._doubted(remote)
        doubtful = [s for s in steps if _doubtful(s, results.get(s.payload["dest"]))]
        settled = self.probe_batch(doubtful, contexts) if doubtful else []
        positions = {id(s): position for s, position in zip(doubtful, settled, strict=True)}
        return [
            self._answer(step, no, results.get(step.payload["dest"]), positions.get(id(step)))
            for step, no in zip(steps, refused, strict=True)
        ]

    def _told(self, remote: str, updates: Sequence[Push]) -> bool:
        """Whether the tracking refs say that all of it landed. Git ends well where it can't move one."""
        known = read(self._repo.git, f"refs/remotes/{remote}").remote(remote)
        return all(known.get(each.ref.removeprefix("refs/heads/")) == each.new for each in updates)

    def _answer(
        self, step: Step, refused: bool, result: PushResult | None, settled: Position | None
    ) -> Outcome | Exception:
        remote, dest, new = step.payload["remote"], step.payload["dest"], step.payload["new"]
        branch = shown(dest.removeprefix("refs/heads/"))
        if refused:
            return HeldBack(
                f"{branch} is protected: it is never pushed with force",
                hint="git revert",
                finding="push.protected",
            )
        landed = result is not None and result.status in LANDED
        if landed or settled is Position.AFTER:
            self._pushed(remote, dest, new)
            return Outcome(
                {"was": step.payload["lease"]}, note="" if landed else "landed, though the connection died"
            )
        said = shown(result.message) if result else ""
        if settled is Position.UNKNOWN:
            return Unanswered(
                f"nobody can tell whether {branch} reached {remote}: {said}",
                hint="raccord continue, once it answers",
            )
        if settled is Position.NEITHER or (result and result.status in (Pushed.STALE, Pushed.BEHIND)):
            return WorldMoved(
                f"{branch} moved on {remote} since it was integrated; nothing was pushed over it",
                hint="raccord sync",
                finding="push.stale",
            )
        return HeldBack(
            f"{remote} did not take {branch}: {said}", hint="raccord sync", finding="push.rejected"
        )

    def revert(self, step: Step, context: Context) -> None:
        """A push is never half done."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...] | str:
        """The push back, unless the branch is protected."""
        payload = step.payload
        if self._protected(payload["dest"]):
            return "the branch is protected on the remote, where history is never rewritten; git revert it"
        branch = payload["dest"].removeprefix("refs/heads/")
        if payload["lease"] is None:
            deletes = PushIntent(payload["remote"], payload["dest"], "", payload["new"], True)
            step = push_step(deletes, branch)
            return (_retitled(step, f"delete {shown(branch)} on {payload['remote']} (leased)", new=None),)
        back = PushIntent(payload["remote"], payload["dest"], payload["lease"], payload["new"], True)
        return (push_step(back, branch),)


def _retitled(step: Step, title: str, **payload: object) -> Step:
    return replace(step, title=title, payload={**step.payload, **payload}, after=None)


def _doubtful(step: Step, result: PushResult | None) -> bool:
    # A branch that is gone already, before a kill say, makes its deletion a stale lease.
    deletes = step.payload["new"] is None
    return result is not None and (
        result.status is Pushed.UNKNOWN or (deletes and result.status is Pushed.STALE)
    )


def _position(step: Step, found: str | None) -> Position:
    if found == step.payload["new"]:
        return Position.AFTER
    return Position.BEFORE if found == step.payload["lease"] else Position.NEITHER
