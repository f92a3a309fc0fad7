"""Fills the example's database, and a directory of files: DATABASE_URL=… python make_data.py --documents 500.

The rows are as ugly as real ones: quotes, tabs, line ends, `\\N`, Arabic, emoji, empty and absent values,
numbers with zeros at their end, embeddings. The same numbers make the same rows, but for the times.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import psycopg

ROWS = Path(__file__).with_name("rows.sql")


def rows(url: str, documents: int) -> None:
    """Fills a database that has the schema and no rows."""
    with psycopg.connect(url) as db:
        for statement in ROWS.read_text("utf-8").split(";\n"):
            if statement.strip():
                db.execute(statement.replace(":documents", str(documents)))


def files(url: str, folder: Path) -> int:
    """Writes the files that `web_files` names; returns how many."""
    with psycopg.connect(url) as db:
        names = db.execute("select minio_path from web_files order by 1").fetchall()
    for (name,) in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        number = name.rpartition(" ")[2].removesuffix(".pdf")
        path.write_bytes(f"%PDF-1.4 {number}".encode() * (1 + int(number) % 50))
    return len(names)


def main() -> None:
    """Reads the command line and the variable DATABASE_URL, which keeps its password off the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=500, help="how many; six times as many rows in all")
    parser.add_argument("--files", type=Path, help="a directory for the files of web_files")
    chosen = parser.parse_args()
    url = os.environ["DATABASE_URL"]
    rows(url, chosen.documents)
    made = files(url, chosen.files) if chosen.files else 0
    print(f"{chosen.documents} documents, {made} files")


if __name__ == "__main__":
    main()
