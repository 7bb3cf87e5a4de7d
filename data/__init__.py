"""Room of the rows: reading and writing them, and what is known about them before anything is counted.

Every form of input becomes a stream of Arrow record batches with known columns (`open`, `Dataset`, `Columns`,
`Batch`), and is written back in the same form (`writers`). Here also live the one tokenizer, the lexicons and the
axes of groups, the one pass that audit and curate share (`scan`), the one config file and the synthetic sample.
No statistic is computed in this room, and it imports nothing from the others.
Names are loaded when first used, so that importing the package stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import EvensetError, InputError

if TYPE_CHECKING:
    from .dataset import Batch, Columns, Dataset
    from .opening import open_dataset as open  # noqa: A004 - `evenset.data.open` is the public name

__all__ = ["Batch", "Columns", "Dataset", "EvensetError", "InputError", "open"]


def __getattr__(name: str) -> Any:
    if name == "open":
        from .opening import open_dataset

        return open_dataset
    if name in {"Batch", "Columns", "Dataset"}:
        from . import dataset

        return getattr(dataset, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
