"""Numbers with their nouns."""

from __future__ import annotations

from raccord.model.text import several


def test_numbers_for_people():
    assert (several(1, "row"), several(0, "row"), several(12345, "row")) == ("1 row", "0 rows", "12,345 rows")
    assert several(1, "row", "shop", ("refers", "refer")) == "1 row of shop refers"
    assert several(2, "row", "shop", ("refers", "refer")) == "2 rows of shop refer"
