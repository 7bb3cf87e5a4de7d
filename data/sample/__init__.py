"""The built-in sample: synthetic biographies and comments whose bias is planted and known.

It needs no network and no licence but the project's own, so the demo and the self-tests run on it: what a measure
should find is in ``truth.json``. Phrase banks are TOML data files; every phrase was written for evenset.
"""

from .biographies import bios
from .crossed import probe
from .output import DEFAULT_ROWS, write
from .talk import comments

__all__ = ["DEFAULT_ROWS", "bios", "comments", "probe", "write"]
