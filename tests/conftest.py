"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from browser import chromium, open_page  # fixtures
from hypothesis import settings

__all__ = ["chromium", "open_page", "shared_data"]

# A busy machine is no failure.
settings.register_profile("evenset", settings.get_profile("ci" if os.environ.get("CI") else "default"), deadline=None)
settings.load_profile("evenset")

# One thread a process: the tests run side by side already, and threads that wait by spinning take the others' cores.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; tests that use it carry the marker ``real`` and run wherever it is."""
    given = os.environ.get("EVENSET_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set EVENSET_DATA")
    return folder
