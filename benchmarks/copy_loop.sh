#!/usr/bin/env bash
# The third seed's auto_copy_missing_migrations, written from its description: run alembic, read which revision it
# misses, look for a file of it in the version folders of the worktrees beside this one, copy it, try again.
#
#   copy_loop.sh TRIES KEYERROR BACKEND TREES...
#
# TRIES is the most tries (the seed's is 3); with KEYERROR=1 the bare KeyError is read too with which alembic ends
# once only the tip of a chain is there.
set -u
tries=$1 keyerror=$2 backend=$3
shift 3
for ((try = 0; try <= tries; try++)); do
    if said=$(cd "$backend" && alembic upgrade head 2>&1); then
        exit 0
    fi
    missing=$(grep -o "Can't locate revision identified by '[^']*'" <<<"$said" | tail -n 1 | cut -d"'" -f3)
    if [ -z "$missing" ] && [ "$keyerror" = 1 ]; then
        missing=$(grep -o "^KeyError: '[^']*'" <<<"$said" | tail -n 1 | cut -d"'" -f2)
    fi
    [ -n "$missing" ] || { echo "after $try copies, not understood: ${said##*$'\n'}" >&2; exit 1; }
    [ "$try" -lt "$tries" ] || break
    found=$(find "${@/%//backend/migrations/versions}" -name "*$missing*.py" -print -quit 2>/dev/null)
    [ -n "$found" ] || { echo "after $try copies, in no worktree: $missing" >&2; exit 1; }
    cp "$found" "$backend/migrations/versions/"
done
echo "after $tries copies: the most tries are reached" >&2
exit 1
