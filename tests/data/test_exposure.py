"""Where rows of files may go: the table of `exposure.py`, all of it."""

from __future__ import annotations

import itertools

from raccord.data.exposure import exposed, overwrites
from raccord.data.manifest import Made

PLACES = ("dev", "staging", "prod")


def test_every_way():
    """dev is the set's own; prod is protected, by the configuration here or by what the files say."""
    for masked, told, known, origin, goal in itertools.product(
        (True, False), (True, False), (True, False), PLACES, PLACES
    ):
        made = Made(origin, "", 0.0, "", "", "", protected=told and origin == "prod", masked=masked)
        protected = {"prod"} if known else set()
        bare = exposed(made, goal, "dev", protected, "raccord data import x")
        leaves = origin == "prod" and (told or known) and goal not in protected
        comes_home = goal == "dev" != origin
        assert bool(bare) == (not masked and (leaves or comes_home)), (made, goal, protected)
        assert bool(overwrites(made, goal)) == (masked and origin == goal)
        assert bare is None or '--unmasked --reason "…"' in bare.hint
