"""Hooks: calls in the target of a push, before it and after it."""
