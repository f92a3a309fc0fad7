"""A workspace to look at raccord with."""
