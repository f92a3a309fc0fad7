"""Passes on what a git server advertises, then nothing more; with an argument it lets the server finish."""

import os
import sys

source, sink = sys.stdin.buffer, sys.stdout.buffer
while True:
    length = source.read(4)
    sink.write(length)
    if length in (b"0000", b""):
        break
    sink.write(source.read(int(length, 16) - 4))
sink.flush()
if len(sys.argv) > 1:
    source.read()
else:
    # The server waits for commands that the client has not sent yet: everyone dies.
    os.killpg(0, 9)
