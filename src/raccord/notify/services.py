"""Tells Slack, Discord, mail and many others, each by its URL, through apprise."""

from __future__ import annotations

import logging

from raccord.kernel.extras import install

MISSING = f"the package apprise is not installed: {install('serve')}"


def tell(url: str, title: str, text: str) -> str:
    """Sends a short text.

    Returns:
        Why it failed, "" where it did not. The URL, which holds secrets, is not in it.
    """
    try:
        import apprise
    except ImportError:
        return MISSING
    # What it logs repeats URLs.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    service = apprise.Apprise()
    if not service.add(url):
        return "apprise knows no service of this URL"
    return "" if service.notify(body=text, title=title) else "the service did not take it"
