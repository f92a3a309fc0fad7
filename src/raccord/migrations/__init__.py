"""Keeps the migrations of every worktree and of the databases they share in step."""
