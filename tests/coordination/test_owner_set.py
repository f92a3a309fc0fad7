"""Of many changes nearly all are attributed where one owner is possible, and nearly none wrongly."""

from __future__ import annotations

import random

import pytest

from tests.coordination.owner_set import cases, judged


@pytest.mark.parametrize("size", [30, pytest.param(300, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
def test_nearly_all_are_named_and_none_wrongly(tmp_path, capsys, size):
    found = judged(tmp_path, cases(random.Random(size), size))
    with capsys.disabled():
        print(
            f"\nof {found.possible} uncommitted changes with one possible owner {found.named} attributed"
            f" ({found.named / found.possible:.1%}); of {found.said} owners said {found.right} right"
            f" ({found.right / found.said:.1%})"
        )
    assert found.named >= 0.95 * found.possible, found
    assert found.right >= 0.99 * found.said, found.wrong
