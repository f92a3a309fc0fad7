#!/usr/bin/env bash
# The routine of the first seed (sync-workdir.ps1 -SkipTests), run in each of the given worktrees in turn:
# refuse a dirty tree, fetch, rebase on the base, push. A tree that fails does not stop the next.
set -u
failed=0
for tree in "$@"; do
    (
        cd "$tree" || exit
        [ -z "$(git status --porcelain)" ] || { echo "$tree is not clean" >&2; exit 1; }
        git fetch --quiet --all --prune &&
            git rebase --quiet origin/main &&
            git push --quiet --force-with-lease origin "$(git branch --show-current)"
    ) || failed=1
done
exit "$failed"
