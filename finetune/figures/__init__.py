"""Figures of a verdict and of dose curves, from what verdict.json and dose.json hold and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["draw_all"]


def draw_all(result: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """Draw every figure that a verdict, or a dose report, has the parts for.

    Parameters
    ----------
    result : mapping
        Contents of verdict.json or dose.json.
    folder : path
        Gets the figures as SVG and PNG.

    Returns
    -------
    list of Path
        What was written; nothing where nothing can be drawn.

    Raises
    ------
    InputError
        When matplotlib is not installed or cannot be loaded, or the folder cannot be written.

    Examples
    --------
    >>> draw_all({}, "nowhere")
    []
    """
    import warnings

    from ...audit.figures import MISSING, available, style
    from ...data.errors import InputError
    from .doses import draw_doses
    from .gaps import draw_gaps
    from .imbalance import draw_imbalance
    from .shares import draw_shares
    from .tradeoff import draw_tradeoff

    if not available():
        raise InputError(MISSING)
    written: list[Path] = []
    # Names in scripts that the font lacks are boxes in the PNG and text in the SVG: no reason for a warning.
    try:
        with style(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"Glyph .* missing", category=UserWarning)
            for draw in (draw_gaps, draw_tradeoff, draw_imbalance, draw_shares, draw_doses):
                written += draw(result, folder)
    except ImportError as error:
        raise InputError(f"matplotlib is installed but cannot be loaded ({error})") from error
    return written
