"""One module for each verb that joins features; binds step handlers and guards to the engine."""
