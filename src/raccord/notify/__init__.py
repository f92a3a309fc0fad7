"""Tells people outside what happened."""
