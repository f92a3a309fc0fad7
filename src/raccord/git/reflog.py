"""Where a ref stood before, newest first. Reads git's own log; nothing that is not in it is guessed."""

from __future__ import annotations

from raccord.git.repo import Repository

LIMIT = 64
TAIL_BYTES = 64 * 1024


def reflog(repo: Repository, ref: str) -> tuple[str, ...]:
    """The commits that a ref pointed to, newest first, at most 64; () where nothing was logged.

    The log file is read directly, as one process for each branch would cost more than the rest of a sync;
    a repository that keeps refs in tables is asked through git.
    """
    if repo.settings.get("extensions.refstorage", "files") != "files":
        asked = repo.git.run("reflog", "show", f"--max-count={LIMIT}", "--format=%H", ref)
        return tuple(asked.stdout.decode("ascii", "replace").split()) if asked.returncode == 0 else ()
    try:
        with (repo.common / "logs" / ref).open("rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - TAIL_BYTES))
            lines = log.read().splitlines()
    except OSError:
        return ()
    oids: dict[str, None] = {}
    for line in reversed(lines):
        # "old new who when\tmessage"; the first line of the tail may be cut.
        words = line.split(b" ", 2)
        if len(words) < 3 or len(words[0]) not in (40, 64) or len(words[1]) != len(words[0]):
            continue
        for oid in (words[1], words[0]):
            if oid.strip(b"0"):
                oids.setdefault(oid.decode("ascii", "replace"))
    return tuple(oids)[:LIMIT]
