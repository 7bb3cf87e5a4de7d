"""The pages of a verdict and of dose curves: `verdict.html`, `dose.html`, from what the JSON files hold and no more.

Old files lack newer keys: what is not there is left out of the page, never made up. `reading` finds things in a
record, `top` is the first screen; each other file is a part of the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["dose_page", "verdict_page"]


def verdict_page(verdict: Mapping[str, Any]) -> str:
    """The page of a verdict.

    Parameters
    ----------
    verdict : mapping
        Contents of verdict.json.

    Returns
    -------
    str
        One HTML file that needs no other.

    Examples
    --------
    >>> page = verdict_page({"gaps": [{"arm": "<mine>", "upstream": "none", "gap": 0.2, "seeds": [0]}], "arms": []})
    >>> "The gap of &lt;mine&gt; is .200." in page
    True
    """
    from .whole import page

    return page(verdict)


def dose_page(report: Mapping[str, Any]) -> str:
    """The page of dose curves.

    Parameters
    ----------
    report : mapping
        Contents of dose.json.

    Returns
    -------
    str
        One HTML file that needs no other.
    """
    from .doses import page

    return page(report)
