"""Commits the report after a consolidation, that file alone, and pushes it, where the configuration asks.

Where it can't be done now it is said why, and tried again after the next consolidation.
"""

from __future__ import annotations

from raccord.code.base import Far, choose_remote, far_side, find_base
from raccord.code.facts import PushIntent
from raccord.code.hooks import after_commit
from raccord.code.push import push_step
from raccord.coordination.carry import carried
from raccord.coordination.commit import commit_step, telling
from raccord.coordination.ledger import Ledger
from raccord.coordination.spec import Spec
from raccord.errors import HeldBack, RaccordError
from raccord.git.refs import read
from raccord.git.run import strings
from raccord.git.worktrees import Worktree
from raccord.model.language import counted
from raccord.model.plan import Lane, Plan, Stage
from raccord.model.text import shown
from raccord.verbs.coordination import home
from raccord.verbs.lanes import gates_of
from raccord.verbs.room import Room

BY = "raccord"


def settle(room: Room) -> tuple[str, str]:
    """Commits and pushes what reports there are.

    Returns:
        The commit, "" where none was made, and why there is none or it is not pushed, "" where all is well.
    """
    made: list[str] = []
    try:
        _settle(room, made)
    except RaccordError as error:
        return "".join(made), error.message
    return "".join(made), ""


def _settle(room: Room, made: list[str]) -> None:
    said = room.config.coordination
    if not said.commit:
        return
    room.__dict__.pop("trees", None)
    engine = room.engine()
    engine.recover()
    tree = _home(room)
    spec, ledger = Spec.configured(said, room.language), Ledger(room.store)
    found = carried(room.repo.git.at(tree.path), ledger, spec)
    if found is None:
        raise HeldBack(f"{shown(spec.report)} is not committed: somebody else wrote in it", hint="git diff")
    if found.keys:
        step = commit_step(tree, found.keys, _message(room, ledger, found.keys))
        lane = Lane(str(tree.path), shown(tree.path.name), (step, *after_commit(room.repo, str(tree.path))))
        _applied(room, Plan("report", (Stage("commit", (lane,)),), by=BY))
        made.append(room.repo.git.line("rev-parse", f"refs/heads/{tree.branch}"))
    elif room.repo.git.at(tree.path).ok("check-ignore", "-q", "--", f"./{spec.report}"):
        raise HeldBack(f"{shown(spec.report)} is not committed: git ignores it", hint="git status --ignored")
    if said.push:
        _push(room, tree)


def _home(room: Room) -> Worktree:
    """The worktree that takes the reports, where it can take a commit."""
    tree = home(room)
    if tree is None:
        raise HeldBack("no worktree takes the reports", hint="git worktree list")
    if tree.operation:
        raise HeldBack(f"a {tree.operation} is in progress in {shown(tree.path.name)}", hint="git status")
    if tree.detached or not tree.branch or not tree.head:
        raise HeldBack(f"{shown(tree.path.name)} is on no branch with a commit", hint="git switch -c NAME")
    if room.protected(tree.branch) and not room.config.coordination.commit_protected:
        said = f"{shown(tree.branch)} is protected, so the report is not committed on it"
        raise HeldBack(said, hint="set coordination.commit_protected, or coordination.worktree")
    return tree


def _message(room: Room, ledger: Ledger, keys: tuple[str, ...]) -> str:
    number = sum(one.changes for one in ledger.consolidations() if one.id in keys)
    summary = counted("report of {number} change", "report of {number} changes", number=number)
    line = room.config.coordination.commit_message
    values = {"summary": summary.said(room.language), "changes": str(number), "id": ", ".join(keys)}
    for name, value in values.items():
        line = line.replace(f"{{{name}}}", value)
    return line


def _applied(room: Room, plan: Plan) -> None:
    engine = room.engine()
    record = engine.apply(lambda: plan)[1]
    for lane in record.lanes.values() if record is not None else ():
        if lane.finding is not None:
            raise HeldBack(lane.finding.message, hint=lane.finding.hint)


def _push(room: Room, tree: Worktree) -> None:
    """Pushes commits of reports under the guards of a sync, never forced."""
    git, refs = room.repo.git, read(room.repo.git)
    branch, far = tree.branch or "", _far(room, tree)
    tip = refs.heads[branch]
    if far is None or far.known is None:
        raise HeldBack(
            f"{shown(branch)} has no remote branch, so the report is not pushed", hint="git push -u"
        )
    if far.known == tip:
        return
    ours = git.out("rev-list", f"{far.known}..{tip}").split()
    alone = len(telling(git, far.known, tip)) == len(ours)
    if not alone or not git.ok("merge-base", "--is-ancestor", far.known, tip):
        said = f"{shown(branch)} has other commits that its remote branch lacks, or lacks some of it"
        raise HeldBack(f"{said}: the report is not pushed", hint="raccord sync")
    changed = strings(git.out("diff", "--name-only", "-z", "--no-ext-diff", far.known, tip))
    tests = gates_of(room, tree.path, git.line("rev-parse", f"{tip}^{{tree}}"), (), changed)
    if tests.held is not None:
        raise HeldBack(tests.held.message, hint=tests.held.hint)
    key, title = str(tree.path), shown(tree.path.name)
    push = push_step(PushIntent(far.remote, far.dest, tip, far.known, force=False), branch)
    stages = (Stage("test", (Lane(key, title, tests.steps),)), Stage("push", (Lane(key, title, (push,)),)))
    _applied(room, Plan("report", stages if tests.steps else stages[1:], by=BY))


def _far(room: Room, tree: Worktree) -> Far | None:
    refs, settings = read(room.repo.git), room.repo.settings
    remote = choose_remote(settings, room.config.sync.remote)
    if not remote:
        return None
    base = find_base(room.repo, refs, remote, room.config.sync.base, room.trees).branch
    return far_side(settings, refs, remote, tree.branch or "", base)
