"""The base of all figures: colours, markers and how they are saved. Needs matplotlib (extra "figures"), when used.

Figures are made without pyplot, so nothing global changes, on the Agg canvas, so no screen is needed. Colours are those
of Okabe and Ito, which colour-blind readers can tell apart, and every series has its own marker too, for print in grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.files import atomic

BLACK = "#000000"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", BLACK)
"""Okabe and Ito 2008, the darker ones first; yellow is left out, which paper does not show."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# Fonts stay text in SVG; ids are made of a fixed salt, so that the same figure is the same file.
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "evenset",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "text.parse_math": False,
}


def available() -> bool:
    """Whether figures can be drawn here."""
    return find_spec("matplotlib") is not None


MISSING = 'figures need matplotlib: pip install "evenset[figures]"'


@dataclass
class Figure:
    """One figure with one pair of axes. Get it from `figure`.

    Attributes
    ----------
    canvas, axes : matplotlib Figure and Axes
        To draw on.
    title : str
    alt : str
        What it shows, in words, for who cannot see it; saved in the files.
    """

    canvas: Any
    axes: Any
    title: str
    alt: str
    _series: int = field(default=0, repr=False)

    def line(self, x: Sequence[float], y: Sequence[float], label: str | None = None, **style: Any) -> None:
        """Draw a series with the next colour and marker."""
        at = self._series % len(COLOURS)
        self._series += 1
        given = {"color": COLOURS[at], "marker": MARKERS[at], "linewidth": 1.6, "markersize": 6} | style
        self.axes.plot(list(x), list(y), label=label, **given)

    def legend(self) -> None:
        """Say what the series are, below the axes where nothing can be hidden."""
        self.axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, frameon=False)

    def save(self, folder: str | Path, name: str) -> list[Path]:
        """Write NAME.svg and NAME.png; the same figure gives the same bytes.

        Raises
        ------
        InputError
            When the folder cannot be written.
        """
        import matplotlib as mpl

        folder = Path(folder)
        about = {"Title": self.title, "Description": self.alt}
        written = []
        with mpl.rc_context(_STYLE):
            for form, extra in (("svg", {"Date": None, "Creator": "evenset"}), ("png", {"Software": "evenset"})):
                with atomic(folder / f"{name}.{form}") as part:
                    self.canvas.savefig(
                        part, format=form, dpi=150, bbox_inches="tight", metadata={**about, **extra}, facecolor="white"
                    )
                    if form == "svg":
                        part.write_text(_described(part.read_text(encoding="utf-8"), self.alt), encoding="utf-8")
                written.append(folder / f"{name}.{form}")
        return written


def _described(svg: str, alt: str) -> str:
    """The SVG with its description where screen readers look for it: matplotlib writes it among the metadata only."""
    svg = svg.replace("<svg ", '<svg role="img" ', 1)
    return svg.replace("</title>", f"</title>\n <desc>{escape(alt)}</desc>", 1)


def style() -> AbstractContextManager[None]:
    """The house's style as a context: texts that are added to a figure take it from where they are made.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> with style():
    ...     mpl.rcParams["text.parse_math"]
    False
    """
    import matplotlib as mpl

    found: AbstractContextManager[None] = mpl.rc_context(_STYLE)
    return found


def figure(title: str, *, x: str, y: str, alt: str, size: tuple[float, float] = (6.4, 4.0)) -> Figure:
    """An empty figure in the house's style.

    Parameters
    ----------
    title, x, y : str
        Of the figure and its axes, in plain words.
    alt : str
        What it shows, in words.
    size : (float, float)
        Inches.

    Raises
    ------
    InputError
        When matplotlib is not installed.

    Examples
    --------
    >>> drawn = figure("Rows", x="level", y="rows", alt="Rows fall with the level.")
    >>> drawn.line([0, 1], [100, 40], "dropping")
    >>> len(drawn.axes.lines)
    1
    """
    if not available():
        raise InputError(MISSING)
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=size)
        FigureCanvasAgg(canvas)
        axes = canvas.add_subplot()
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
    return Figure(canvas, axes, title, alt)
