"""Keeps code in step: branches replayed on their base, worktrees that follow, snapshots, pushes."""
