"""Shows raccord at work on a throw-away workspace, then proves that an undo gave every byte back.

    python demo/run.py [--keep-at DIR]

Exits 0 only if every command ended as announced and nothing differs after the undo.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import hermetic
from demo import fingerprint, scenario
from demo.scenario import AGENTS, Scenario

WIDTH = 100
DONE, PARTIAL = 0, 5


def main() -> int:
    """Sync a small workspace with raccord and take it back."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--keep-at", type=Path, metavar="DIR", help="where to build; a new directory by default"
    )
    chosen: Path | None = parser.parse_args().keep_at
    if chosen is not None and chosen.exists() and any(chosen.iterdir()):
        parser.error(f"{chosen} is not empty")
    if not hermetic.RACCORD.exists():
        parser.error(
            f"there is no {hermetic.RACCORD.name} beside {sys.executable}; install the project first"
        )
    root = chosen or Path(tempfile.mkdtemp(prefix="raccord-demo-"))
    root.mkdir(parents=True, exist_ok=True)
    return Show(scenario.build(root)).play()


class Show:
    """The commands in their order, and what was odd about them."""

    def __init__(self, stage: Scenario) -> None:
        self._stage = stage
        self._odd: list[str] = []
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def play(self) -> int:
        """Run everything; the exit status."""
        self._introduce()
        before = fingerprint.take(self._stage)

        self._say("What is where? Status only looks.")
        self._raccord("status")

        self._say("The plan, and nothing but the plan:")
        self._raccord("sync", "--all", "--dry-run", expected=(DONE, PARTIAL))
        self._expect_same(before, "the dry run")

        self._say("Now for real. Worktrees that can't be synced are held back and don't block the others:")
        self._raccord("sync", "--all", expected=(PARTIAL,))
        changed = before.changed(fingerprint.take(self._stage))
        self._raccord("status")

        self._say("Every run is in the journal,")
        self._raccord("log")
        self._say("and can be taken back, on the remote too.")
        self._raccord("undo")
        self._raccord("status")
        return self._conclude(before, changed)

    def _introduce(self) -> None:
        self._say(f"A shop's repository with six worktrees, in {self._stage.root}")
        for agent in AGENTS:
            print(f"    {agent.name}  {agent.branch:<14} {agent.about}")
        self._say(f"Since they began, origin/main gained {len(scenario.BASE_MOVES)} commits.")

    def _raccord(self, *arguments: str, expected: tuple[int, ...] = (DONE,)) -> None:
        """Show one command with its output; its colours are its own affair."""
        prompt = "$ raccord " + " ".join(arguments)
        print(f"\n\033[1m{prompt}\033[0m" if self._colour else f"\n{prompt}", flush=True)
        environment = self._stage.environment
        if not sys.stdout.isatty():
            environment.setdefault("COLUMNS", str(WIDTH))
        began = time.perf_counter()
        command = hermetic.raccord(*arguments)
        code = subprocess.run(
            command, cwd=self._stage.main, env=environment, stdin=subprocess.DEVNULL, check=False
        ).returncode
        meaning = {DONE: "done", PARTIAL: "partial: some worktrees were held back"}.get(code, "not expected")
        note = f"[exit {code}, {meaning}; {time.perf_counter() - began:.2f} s]"
        print(f"\033[2m{note}\033[0m" if self._colour else note, flush=True)
        if code not in expected:
            wanted = " or ".join(map(str, expected))
            self._odd.append(f"`raccord {' '.join(arguments)}` exited {code} and not {wanted}")

    def _expect_same(self, before: fingerprint.Fingerprint, after: str) -> None:
        for difference in before.differences(fingerprint.take(self._stage)):
            self._odd.append(f"differs after {after}: {difference}")

    def _conclude(self, before: fingerprint.Fingerprint, changed: list[str]) -> int:
        self._say(f"The sync changed {', '.join(changed) or 'nothing'}.")
        if not changed:
            self._odd.append("the sync changed nothing, so the undo shows nothing")
        self._expect_same(before, "the undo")
        for line in self._odd:
            print(f"NOT AS PROMISED  {line}")
        if not self._odd:
            trees = len(self._stage.trees)
            print(
                f"As before the sync, byte for byte: all {before.files} files of {trees} worktrees, ignored\n"
                "ones too, their indexes, and the branches here and on the remote."
            )
        print(f"The workspace stays in {self._stage.root}", flush=True)
        return 1 if self._odd else 0

    def _say(self, text: str) -> None:
        print("\n" + textwrap.fill(text, WIDTH), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
