"""The kernel: the store, the journal, the engine, locks, processes and files. It knows nothing of git."""
