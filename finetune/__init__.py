"""Did the gap shrink on a trained model? Train arms, write scores, give a verdict.

Training (`run`) and judging (`verify`) meet in one file of scores, so that a conclusion can be
recomputed without training and anyone's predictions get the same treatment.
This room changes no rows and chooses no curation: it is told what was done and measures what came of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attribution.attribution import Attribution, attribute
    from .attribution.dose import DoseReport, dose_report
    from .attribution.finished import attribute_folder
    from .callback import GapCallback
    from .dosing import run_doses
    from .judging.decide import Margins
    from .judging.files import verify_files
    from .judging.predictions import Predictions, predictions
    from .judging.records import ArmVerdict
    from .judging.verdict import Verdict, verify
    from .pipeline import run, train

__all__ = [
    "ArmVerdict",
    "Attribution",
    "DoseReport",
    "GapCallback",
    "Margins",
    "Predictions",
    "Verdict",
    "attribute",
    "attribute_folder",
    "dose_report",
    "predictions",
    "run",
    "run_doses",
    "train",
    "verify",
    "verify_files",
]

_HOME = {
    "run": "pipeline",
    "run_doses": "dosing",
    "dose_report": "attribution.dose",
    "DoseReport": "attribution.dose",
    "GapCallback": "callback",
    "train": "pipeline",
    "verify": "judging.verdict",
    "verify_files": "judging.files",
    "Attribution": "attribution.attribution",
    "attribute": "attribution.attribution",
    "attribute_folder": "attribution.finished",
    "Verdict": "judging.verdict",
    "ArmVerdict": "judging.records",
    "Margins": "judging.decide",
    "Predictions": "judging.predictions",
    "predictions": "judging.predictions",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that reading a verdict never imports what trains a model.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME[name]}", __name__), name)
