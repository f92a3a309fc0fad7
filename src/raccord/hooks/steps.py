"""The step `hook.call`: calls what a hook names, until the answer is the one that is expected.

Before a push one that fails stops it. After a push, which stands, it waits for `raccord continue`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from raccord import __version__
from raccord.config import Secret
from raccord.errors import CannotRun, HeldBack, RaccordError, Stop
from raccord.hooks.attempts import ASKED, DONE, SENT, UNHEARD, WRONG, Attempts
from raccord.hooks.call import Call, again, pauses, wrong
from raccord.hooks.sending import Sender, Silent, Unheard
from raccord.kernel.ident import new_id
from raccord.model.handler import Context, Outcome, Position
from raccord.model.plan import Step
from raccord.model.text import shown
from raccord.transport.model import Transport

KIND = "hook.call"
BEFORE, AFTER = "before", "after"
POLL = 0.1  # seconds


def call_step(what: Call, goal: str, when: str, state: Path) -> Step:
    """The step that calls.

    Args:
        goal: the environment.
        when: BEFORE or AFTER.
        state: raccord's own folder.
    """
    payload = {
        "name": what.name,
        "fingerprint": what.fingerprint,
        "goal": goal,
        "when": when,
        "state": str(state),
        "id": new_id(),
    }
    return Step(KIND, 1, f"call {shown(what.name)} in {goal}: {shown(what.said)}", payload)


def attempts(step: Step, run: str) -> Attempts:
    """What was tried of a step."""
    return Attempts.of(step.payload["state"], run, step.payload["id"])


class CallHandler:
    """Calls hooks.

    Args:
        host: leads from an environment's name to where its commands run.
        read: reads a secret; given what it is, for messages.
        configured: a hook as the configuration has it now.
    """

    kind, version = KIND, 1

    def __init__(
        self,
        host: Callable[[str], Transport],
        read: Callable[[Secret, str], str],
        configured: Callable[[str], Call],
    ) -> None:
        self._host = host
        self._read = read
        self._configured = configured

    def probe(self, step: Step, context: Context) -> Position:
        """Only the far side could say whether it heard what was sent."""
        last = attempts(step, context.run).last
        if last == DONE:
            return Position.AFTER
        return Position.UNKNOWN if last == SENT else Position.BEFORE

    def apply(self, step: Step, context: Context) -> Outcome:
        """Calls, or finds that it was answered.

        Raises:
            HeldBack: before a push: no answer, or a wrong one.
            Stop: the same after a push.
        """
        log = attempts(step, context.run)
        if log.last == DONE:
            return Outcome({"id": step.payload["id"]}, note=log.note)
        try:
            what = self._meant(step, log)
            note = self._called(what, step.payload["goal"], log, context)
        except RaccordError as error:
            raise self._failed(step, context, log, error.message) from None
        log.add(DONE, note)
        return Outcome({"id": step.payload["id"]}, note=note)

    def _meant(self, step: Step, log: Attempts) -> Call:
        """The call as it was planned; as it is now configured, where a person who may have corrected it asks.

        Raises:
            RaccordError: it is another by now, and nobody asked for that.
        """
        now = self._configured(step.payload["name"])
        if now.fingerprint != step.payload["fingerprint"] and log.last != ASKED:
            raise CannotRun(f"[hooks.{now.name}] is not what it was when this was planned")
        return now

    def _called(self, what: Call, goal: str, log: Attempts, context: Context) -> str:
        """What to say of it once the right answer came.

        Raises:
            RaccordError: it did not come.
        """
        headers = {
            name: self._read(one, f"the header {name} of the hook {what.name}")
            for name, one in what.headers.items()
        }
        for name, value in headers.items():
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
                raise CannotRun(f"the header {name} of the hook {what.name} has a control character")
        secrets = tuple(headers[name] for name, one in what.headers.items() if one.kind != "text")
        sent = {name: value.encode() for name, value in headers.items()}
        names = {name.lower() for name in sent}
        sent |= {"User-Agent": f"raccord/{__version__}".encode()} if "user-agent" not in names else {}
        sender = Sender(self._host(goal), lambda: log.add(SENT), context.cancelled)
        waits, tried = pauses(what), 0
        while True:
            tried += 1
            context.say(f"calling {what.name}" + (f", attempt {tried}" if tried > 1 else ""))
            heard, status = True, None
            try:
                answer = sender.send(what, sent)
                status, why = answer.status, wrong(what, answer, secrets)
                if not why:
                    times = f" at attempt {tried}" if tried > 1 else ""
                    return f"{what.name} answered {status}{times}" if what.url else f"{what.name} ran{times}"
                log.add(WRONG, why)
            except Unheard as error:
                heard, why = False, str(error)
                log.add(UNHEARD, why)
            except Silent as error:
                why = str(error)
            if tried > len(waits) or not again(what, heard=heard, status=status):
                raise CannotRun(why + (f", tried {tried} times" if tried > 1 else ""))
            _pause(waits[tried - 1], context.cancelled)

    def _failed(self, step: Step, context: Context, log: Attempts, why: str) -> RaccordError:
        name, goal = step.payload["name"], step.payload["goal"]
        unknown = log.last == SENT
        said = f"{name} in {goal}: {why}" + ("; whether it ran is not known" if unknown else "")
        if step.payload["when"] == BEFORE:
            return HeldBack(said, hint=f"raccord show {context.run}", finding="hook.failed")
        hint = f"raccord continue --run {context.run}"
        return Stop(said, hint=hint, finding="hook.unknown" if unknown else "hook.pending")

    def revert(self, step: Step, context: Context) -> None:
        """It is never half done."""

    def inverse(self, step: Step, outcome: Outcome) -> str:
        """What others did when they were called is theirs."""
        return f"what it did in {step.payload['goal']} stays"


def _pause(seconds: float, cancelled: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if cancelled():
            raise KeyboardInterrupt
        time.sleep(min(POLL, left))
