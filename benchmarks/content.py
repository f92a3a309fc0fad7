"""Invents a source tree of a realistic shape: many small files, few large ones, in nested directories.

Everything comes from the `random.Random` that is passed in, so a seed gives the same bytes everywhere.
"""

from __future__ import annotations

import random

SMALLEST, LARGEST = 200, 8_000
"""Sizes of files in bytes; they are spread evenly over their logarithm."""

NOUNS = """
account amount archive balance batch branch cache cart catalog channel client cluster column contract
coupon credit currency customer delivery device discount document draft event export feature filter
gateway group history import index invoice item journal label ledger limit locale member message metric
module notice order owner package parcel partner payment period permission plan policy price product
profile queue quota rate receipt record refund region report request role route rule schedule search
segment session setting shipment signal source stock store subject supplier table tariff task team
template tenant ticket token topic transfer user value vendor version voucher warehouse widget window
worker zone
"""
WORDS = NOUNS.split()

LAYOUT = (
    ("src/{a}/{b}/{name}.py", 8),
    ("src/{a}/{name}.py", 3),
    ("tests/{a}/test_{name}.py", 4),
    ("web/components/{a}/{b}/{name}.ts", 4),
    ("docs/{a}/{name}.md", 2),
    ("config/{a}/{name}.toml", 1),
    ("scripts/{name}.sh", 1),
)


def tree(rng: random.Random, count: int) -> dict[str, bytes]:
    """`count` files with distinct paths."""
    patterns = [pattern for pattern, _ in LAYOUT]
    weights = [weight for _, weight in LAYOUT]
    areas = rng.sample(WORDS, 18)
    lines = [_line(rng) for _ in range(600)]
    files: dict[str, bytes] = {}
    while len(files) < count:
        pattern = rng.choices(patterns, weights)[0]
        name = "_".join(rng.sample(WORDS, 2))
        path = pattern.format(a=rng.choice(areas), b=rng.choice(areas), name=name)
        files.setdefault(path, text(rng, path, lines))
    return files


def text(rng: random.Random, title: str, lines: list[str] | None = None) -> bytes:
    """A file's content: a heading that makes it unique, then lines up to a random size."""
    wanted = int(SMALLEST * (LARGEST / SMALLEST) ** rng.random())
    pool = lines or [_line(rng) for _ in range(60)]
    body = f"# {title} {rng.getrandbits(64):016x}\n"
    while len(body) < wanted:
        body += rng.choice(pool)
    return body[: wanted - 1].encode() + b"\n"


def edit(rng: random.Random, content: bytes) -> bytes:
    """The same file with one line replaced and one added, as a small change would leave it."""
    lines = content.splitlines(keepends=True)
    lines[rng.randrange(len(lines))] = _line(rng).encode()
    lines.insert(rng.randrange(len(lines) + 1), _line(rng).encode())
    return b"".join(lines)


def _line(rng: random.Random) -> str:
    first, second, third = rng.sample(WORDS, 3)
    return rng.choice(
        (
            f"    {first}_{second} = {third}.{first}(limit={rng.randrange(1000)})\n",
            f"    if {first}.{second} is not None and {third}:\n",
            f"        return {first}({second}, {third}_{rng.randrange(10_000)})\n",
            f"    # The {first} keeps its {second} until the {third} is closed.\n",
            "\n",
        )
    )
