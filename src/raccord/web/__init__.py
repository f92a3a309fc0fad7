"""The web face: routes, live events, metrics and pages over what the library says. It decides nothing."""
