"""What revisions do, read from their text, and the rules that look at it."""
