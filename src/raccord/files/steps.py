"""The steps of a push: `files.keep` copies what goes, `files.put` does it, `files.verify` looks again.

An undo is `files.keep` and `files.put` from the trash. A payload has no URL with a secret: the environment's
name leads to it again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from raccord.errors import CannotRun, HeldBack, ObjectsError, RestoreFailed, Stop, TransportError, WorldMoved
from raccord.files import keeping, manifest, push
from raccord.files.compare import Known
from raccord.files.log import Done, Log
from raccord.files.observe import left_out
from raccord.files.plan import Decision, Item, items
from raccord.files.push import Push
from raccord.files.spec import VERSIONS, Spec, kept_key
from raccord.kernel.ident import new_id
from raccord.model.counts import CHANGES, promoted, total
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Finding, Json, Step
from raccord.model.text import grouped, several, size
from raccord.objects.model import Entry, Readable, Store
from raccord.objects.opening import opened
from raccord.objects.place import Place

KEEP = "files.keep"
PUT = "files.put"
VERIFY = "files.verify"

Resolve = Callable[[str], Place]


def keep_step(
    spec: Spec, state: Path, id_: str, target: str, made: Sequence[Item], seen: Mapping[str, Entry]
) -> Step:
    """The step that keeps what is overwritten or removed.

    Args:
        seen: the target's objects by key, where the plan is made of a listing; else {}.
    """
    kept = {one.key: one.before for one in made if one.before}
    sizes = {key: seen[key].size for key in kept if key in seen}
    payload = {**_where(spec, state, id_, target), "items": kept, "sizes": sizes, "by": spec.keep}
    by = ", by the versions of its bucket" if spec.keep == VERSIONS else ""
    title = f"keep what changes or goes of {spec.goal} as {id_}: {len(kept)}{by}"
    return Step(KEEP, 1, title, payload, backs_up=True)


def put_step(
    spec: Spec,
    state: Path,
    id_: str,
    source: Mapping[str, Json],
    target: str,
    decision: Decision,
    learnt: Mapping[str, Known],
    commit: str,
) -> Step:
    """The step that pushes.

    Args:
        source: the place it comes from, as {"place": key}, or {"trash": id} of the target itself.
        learnt: what was found out by reading, for the manifest.
        commit: where the worktree stands, for those who ask later.
    """
    payload: dict[str, Json] = {
        "spec": spec.document(),
        "state": str(state),
        "id": id_,
        "source": dict(source),
        "target": target,
        "items": [one.document() for one in decision.items],
        "counts": list(decision.counts),
        "learnt": {key: [one.size, one.sha256, one.source, one.target] for key, one in learnt.items()},
        "commit": commit,
    }
    added, changed, removed = decision.counts
    what = f"{several(added, 'object')} added, {grouped(changed)} overwritten, {grouped(removed)} removed,"
    what += f" {size(decision.size)}"
    title = f"{spec.mode} {spec.name} in {spec.goal}: {what}"
    if "trash" in source:
        title = f"bring back what {source['trash']} keeps, into {spec.goal}: {what}"
    elif not decision.items:
        hold = several(len(learnt), "object", spec.name, ("holds", "hold"))
        title = f"note in {spec.goal} what {hold}"
    destroys = any(one.before for one in decision.items)
    return Step(PUT, 1, title, payload, resources=(f"objects:{target}",), destroys=destroys)


def verify_step(spec: Spec, state: Path, id_: str, target: str) -> Step:
    """The step that looks again."""
    title = f"list {spec.goal} again, and compare it with what was sent"
    return Step(VERIFY, 1, title, _where(spec, state, id_, target))


def _where(spec: Spec, state: Path, id_: str, target: str) -> dict[str, Json]:
    return {
        "state": str(state),
        "id": id_,
        "set": spec.name,
        "goal": spec.goal,
        "ends": spec.ends,
        "below": spec.prefix,
        "target": target,
    }


class _Reaching:
    """What the handlers share: the way from an environment's name to its store."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    def found(self, name: str, key: str) -> Store:
        """The store of an environment, if it still is the one that was planned for.

        Raises:
            WorldMoved: it is another.
        """
        place = self._resolve(name)
        if place.key != key:
            raise WorldMoved(f"the environment {name} leads to another store by now: {place.shown}")
        return opened(place)

    def revert(self, step: Step, context: Context) -> None:
        """It takes nothing away."""

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Nothing: it takes nobody's place."""
        return ()


class KeepHandler(_Reaching):
    """Keeps objects."""

    kind, version = KEEP, 1

    def probe(self, step: Step, context: Context) -> Position:
        """Copying again does no harm."""
        return Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Copies them into the trash."""
        got = step.payload
        if not got["items"]:
            return Outcome({"id": got["id"], "objects": 0})
        store = self.found(got["goal"], got["target"])
        with _hinted(_ends(got)):
            if got.get("by") == VERSIONS:
                keeping.note(
                    store, got["id"], got["set"], got["below"], got["items"], context.say, context.cancelled
                )
            else:
                sizes = got.get("sizes", {})  # plans of older releases have none
                keeping.keep(
                    store, got["id"], got["below"], got["items"], sizes, context.say, context.cancelled
                )
        return Outcome({"id": got["id"], "objects": len(got["items"])})


class PutHandler(_Reaching):
    """Fills and removes objects."""

    kind, version = PUT, 1

    def probe(self, step: Step, context: Context) -> Position:
        """A log says that it began; else every object is as it was planned for, or is named."""
        if Log.of(step.payload["state"], step.payload["id"]).read() is not None:
            return Position.BETWEEN
        store = self.found(step.payload["spec"]["goal"], step.payload["target"])
        now = store.listing(step.payload["spec"]["prefix"]).entries
        moved = [
            one.key
            for one in items(step.payload["items"])
            if (now[one.key].etag if one.key in now else "") != one.before
        ]
        if moved:
            raise keeping.moved_error(store, moved)
        return Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Pushes, or goes on with it."""
        got, spec = step.payload, Spec.parse(step.payload["spec"])
        log = Log.of(got["state"], got["id"])
        target, made = self.found(spec.goal, got["target"]), items(got["items"])
        trash = got["source"].get("trash", "")
        past = keeping.Past(target, keeping.kept(target, trash)) if trash else None
        source = past or self.found(spec.origin, got["source"]["place"])
        work = self._work(source, target, log, spec, context)
        try:
            if past:
                made = _dated(made, past.kept)
            with _hinted(spec.ends):
                done = work.carry_out(made, kept_key(got["id"], ".condition"))
                if not trash:
                    self._note(target, spec, got, done, work.standing)
        except (ObjectsError, TransportError) as error:
            if not work.begun:
                log.forget()
                raise HeldBack(error.message, hint=error.hint, finding="files.refused") from error
            hint = f"raccord continue --run {context.run}"
            raise Stop(error.message, hint=hint, finding="files.cut") from error
        if trash and work.left:
            raise RestoreFailed(f"{left_out(work.left).message}; {trash} of {target.shown} has the others")
        numbers = _counts(made, done)
        record: dict[str, Json] = {
            "done": [[one.key, one.etag] for one in done.values()],
            "counts": numbers,
        }
        counts = {} if trash else _promoted(spec, numbers, done)  # what goes back was there before
        return Outcome(
            record, note="; ".join([f"{several(len(done), 'object')} done", *work.notes]), counts=counts
        )

    def _work(self, source: Readable, target: Store, log: Log, spec: Spec, context: Context) -> Push:
        again = log.read() is not None
        return Push(source, target, log, again, spec.prefix, context.say, context.cancelled)

    def _note(
        self,
        target: Store,
        spec: Spec,
        got: Mapping[str, Json],
        done: Mapping[str, Done],
        standing: Mapping[str, Entry],
    ) -> None:
        """Writes the manifest, last, without what was no longer there when the push began."""
        old, source = manifest.load(target, spec.name), got["source"]["place"]
        known = {key: one for key, one in old.known.items() if key in standing}
        if old.source != source:
            known = {key: replace(one, source="") for key, one in known.items()}
        known |= {key: Known(*one) for key, one in got["learnt"].items()}
        for key, one in done.items():
            known.pop(key, None)
            if one.etag:
                known[key] = Known(one.size, one.sha256, one.source, one.etag)
        if known != old.known or old.source != source:
            manifest.save(target, spec.name, source, known)

    def revert(self, step: Step, context: Context) -> None:
        """Takes back what is done of it.

        Raises:
            RestoreFailed: not all of it could be.
        """
        got, spec = step.payload, Spec.parse(step.payload["spec"])
        log = Log.of(got["state"], got["id"])
        done = log.read() or {}
        way = Log(log.path.with_suffix(".back"))
        target, all_ = self.found(spec.goal, got["target"]), items(got["items"])
        trash = got["source"].get("trash", "")
        source = (
            keeping.Past(target, keeping.kept(target, trash))
            if trash
            else self.found(spec.origin, got["source"]["place"])
        )
        cut = self._work(source, target, log, spec, context)
        cut.unlogged(all_, done)
        made = [one for one in all_ if one.key in done]
        past = keeping.Past(target, keeping.kept(target, got["id"]))
        back = _dated(_back(made, {key: one.etag for key, one in done.items()}, got["id"]), past.kept)
        work = self._work(past, target, way, spec, context)
        work.carry_out(back, kept_key(got["id"], ".condition"))
        if left := cut.left | work.left:
            raise RestoreFailed(
                f"{left_out(left).message}; what was there is kept in {target.shown} as {got['id']}"
            )
        log.forget()
        way.forget()

    def inverse(self, step: Step, outcome: Outcome) -> tuple[Step, ...]:
        """Brings back what was there, where it is as the push left it."""
        got, spec = step.payload, Spec.parse(step.payload["spec"])
        done: dict[str, str] = dict(outcome.record["done"])
        made = [one for one in items(got["items"]) if one.key in done]
        if not made:
            return ()
        back = tuple(_back(made, done, got["id"]))
        counts = (
            sum(1 for one in back if not one.before),
            sum(1 for one in back if one.before and one.source),
            sum(1 for one in back if not one.source),
        )
        id_, state = new_id(), Path(got["state"])
        return (
            keep_step(spec, state, id_, got["target"], back, {}),
            put_step(
                spec, state, id_, {"trash": got["id"]}, got["target"], Decision(back, counts, ()), {}, ""
            ),
        )


class VerifyHandler(_Reaching):
    """Looks again."""

    kind, version = VERIFY, 1

    def probe(self, step: Step, context: Context) -> Position:
        """It changes nothing."""
        return Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Lists the target; reads what no etag proves.

        Raises:
            HeldBack: something was left out, or is not as it was written.
        """
        got = step.payload
        store = self.found(got["goal"], got["target"])
        log = Log.of(got["state"], got["id"])
        done = log.read() or {}
        wrong = push.verified(store, got["below"], done, context.cancelled)
        if wrong:
            raise _held(got, left_out(wrong, "files.unverified", "not as they were sent"))
        if left := {key: why for key, why in log.left().items() if key not in done}:
            raise _held(got, left_out(left))
        return Outcome({"objects": len(done)}, note=f"{several(len(done), 'object')} verified")


@contextlib.contextmanager
def _hinted(ends: str) -> Iterator[None]:
    """What a full disk and its like are told with: the command that shows what is still to be done."""
    try:
        yield
    except CannotRun as error:
        error.hint = error.hint or f"raccord files diff {ends}"
        raise


def _ends(got: Mapping[str, Json]) -> str:
    found: str = got["ends"] if "ends" in got else f"{got['set']} --to {got['goal']}"  # older plans have none
    return found


def _held(got: Mapping[str, Json], found: Finding) -> HeldBack:
    said = f"{found.message}; the others are there"
    hint = f"raccord files diff {_ends(got)}"
    return HeldBack(said, hint=hint, finding=found.name, **found.data)


def _dated(made: Sequence[Item], copies: Mapping[str, Entry]) -> list[Item]:
    """Items that are filled from the trash, with the versions that it has."""
    return [
        replace(one, size=copies[one.source].size, etag=copies[one.source].etag)
        if one.source in copies
        else one
        for one in made
    ]


def _back(made: Sequence[Item], done: Mapping[str, str], id_: str) -> list[Item]:
    """What takes items back that are done: the trash's version over it, or nothing in its place."""
    return [Item(one.key, kept_key(id_, one.key) if one.before else "", 0, "", done[one.key]) for one in made]


def _counts(made: Sequence[Item], done: Mapping[str, Done]) -> list[int]:
    found = [one for one in made if one.key in done]
    return [
        sum(1 for one in found if not one.before),
        sum(1 for one in found if one.before and one.source),
        sum(1 for one in found if not one.source),
    ]


def _promoted(spec: Spec, numbers: Sequence[int], done: Mapping[str, Done]) -> dict[str, Json]:
    objects = promoted("objects", spec.name, spec.goal, dict(zip(CHANGES, numbers, strict=True)))
    size = sum(one.size for one in done.values() if one.etag)
    return total([objects, promoted("bytes", spec.name, spec.goal, {"added": size})])


def forget(step: Step, resolve: Resolve) -> None:
    """Removes what a push kept, in its target and here.

    Raises:
        RaccordError: the target can't be reached, or is another by now; nothing was removed here.
    """
    got = step.payload
    if step.kind == KEEP and got["items"]:
        keeping.forget(_Reaching(resolve).found(got["goal"], got["target"]), got["id"])
    log = Log.of(got["state"], got["id"])
    log.forget()
