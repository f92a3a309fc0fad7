"""What may be told of an error that nobody foresaw: its kind and its place. Its words may hold any value."""

from __future__ import annotations

from raccord.errors import RaccordError
from raccord.model.text import shown

# Of these Python itself makes the words, from names that stand in code.
TELLING = frozenset(
    {
        AttributeError,
        ImportError,
        IndexError,
        ModuleNotFoundError,
        NameError,
        NotImplementedError,
        RecursionError,
        TypeError,
        UnboundLocalError,
        ZeroDivisionError,
    }
)


def told(error: BaseException) -> str:
    """An error in one line, without values."""
    kind = type(error).__name__
    if isinstance(error, RaccordError):
        return shown(f"{kind}: {error.message}")
    return shown(f"{kind}: {error}") if type(error) in TELLING and str(error) else kind


def place(error: BaseException) -> str:
    """Where it was raised, as "push.py:12"; "" where nobody knows."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    name = trace.tb_frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    return f"{name}:{trace.tb_lineno}"
