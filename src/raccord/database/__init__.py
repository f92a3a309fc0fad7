"""Typed questions to the databases of projects, and verbs on them: PostgreSQL and SQLite."""
