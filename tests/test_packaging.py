"""What users get: one top-level name, every data file, and a light import."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import evenset

ROOT = Path(evenset.__file__).resolve().parent
HEAVY = (
    "numpy",
    "pyarrow",
    "pandas",
    "scipy",
    "sklearn",
    "torch",
    "transformers",
    "gensim",
    "spacy",
    "great_expectations",
)


def run(*code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *code], capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> list[str]:
    source = Path(__file__).resolve().parents[1]
    if not (source / "pyproject.toml").exists():
        pytest.fail(f"no pyproject.toml beside tests at {source}")
    copy = tmp_path_factory.mktemp("wheel") / "my-clone"
    keep = {"audit", "commands", "curate", "data", "finetune", "tests", "benchmarks", "docs"}
    copy.mkdir()
    for entry in source.iterdir():
        if entry.is_file():
            shutil.copy(entry, copy)
        elif entry.name in keep:
            shutil.copytree(entry, copy / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
    out = copy.parent / "dist"
    done = run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy))
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return zipfile.ZipFile(built).namelist()


def test_the_wheel_installs_no_other_top_level_name(wheel):
    assert {name.split("/")[0] for name in wheel} == {"evenset", f"evenset-{evenset.__version__}.dist-info"}


def test_the_wheel_holds_every_room_and_its_data_files(wheel):
    source = Path(__file__).resolve().parents[1]
    for room in ("audit", "curate", "data", "finetune"):
        wanted = {
            f"evenset/{p.relative_to(source).as_posix()}"
            for p in (source / room).rglob("*")
            if p.suffix in (".py", ".toml")
        }
        assert wanted, room
        assert wanted - set(wheel) == set()
    assert "evenset/py.typed" in wheel
    assert not [name for name in wheel if "/tests/" in name or "/docs/" in name or "/benchmarks/" in name]


@pytest.mark.parametrize(
    "code", ["import evenset", "import evenset.cli", "import evenset.data", "import evenset.finetune"]
)
def test_import_is_light(code):
    heavy = (
        HEAVY
        if "." not in code
        else tuple(name for name in HEAVY if code == "import evenset.cli" or name not in ("numpy", "pyarrow"))
    )
    done = run("-W", "error", "-c", f"{code}; import sys; print([m for m in {heavy!r} if m in sys.modules])")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv=['evenset','--help']\n"
        "from evenset.cli import invoke; code = invoke(['--help'])\n"
        f"print('loaded', [m for m in {HEAVY!r} if m in sys.modules], code)"
    )
    done = run("-W", "error", "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("loaded [] 0")


def test_finetune_imports_without_the_other_extras():
    """A bare GPU machine has torch but no spaCy, gensim, Great Expectations or matplotlib."""
    blocked = ("spacy", "gensim", "great_expectations", "dask", "datasets", "matplotlib")
    code = (
        "import sys\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        "import evenset.finetune.pipeline, evenset.finetune.encoder, evenset.finetune.judging.verdict"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr


def test_the_installed_package_is_the_one_under_test():
    tests = Path(__file__).resolve().parents[1]
    if os.environ.get("PYTHONPATH", "").endswith(".site"):
        pytest.skip("the copy tests an ordinary, not an editable, install")
    assert (tests / "cli.py").read_bytes() == (ROOT / "cli.py").read_bytes()
