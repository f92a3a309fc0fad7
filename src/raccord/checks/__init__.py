"""Runs a project's own checks as gates, and remembers which trees passed."""
