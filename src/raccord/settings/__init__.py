"""The configuration as something that is changed: by a plan, as a run, and back again."""
