"""Typed questions to git, and verbs on it, through the `git` program alone."""
