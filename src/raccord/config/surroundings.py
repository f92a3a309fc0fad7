"""What the person's environment says about the language to speak. Only reads."""

from __future__ import annotations

import os

from raccord.config.keys import Config
from raccord.model.language import ENGLISH, LANGUAGES

# The first that is set decides, as for other programs.
VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def language(config: Config) -> str:
    """The language of findings and reports: the configured one, else the system's, else English."""
    return config.language or spoken() or ENGLISH


def speaking() -> str:
    """The variable that says which language a person's system speaks; "" where none does."""
    return next((name for name in VARIABLES if os.environ.get(name)), "")


def spoken() -> str:
    """The language of the person's system; "" where raccord does not speak it."""
    found = os.environ.get(speaking(), "").partition(".")[0].partition("_")[0].lower()
    return found if found in LANGUAGES else ""
