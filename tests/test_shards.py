"""Counting in parts: killed and resumed, damaged on disk, counted elsewhere and merged; always the same count."""

import json
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.audit.engine import clear, counting, parse_shard, shard
from evenset.audit.shard_files import FOLDER, merge
from evenset.audit.tally import Tally, total
from evenset.data import open as open_data
from evenset.data.axes import parse_axes
from evenset.data.errors import InputError
from evenset.data.files import OutputFolder
from evenset.data.scan import scan

SPECS = ["pronouns", "identity", "column:team", "pronouns+column:team"]
TEXTS = ["She ran.", "He told her.", "a gay man", "", "They said\nso", "muslim women, and men"]


def table(rows=200, **columns):
    numbers = range(rows)
    return pa.table({
        "text": [f"{TEXTS[k % 6]} {k % 17}" for k in numbers],
        "label": [["yes", "no", None][k % 3] for k in numbers],
        "team": ["ab"[k % 2] for k in numbers],
        "w": [1 + k % 5 / 3 for k in numbers],
        "number": [f"row {k}" for k in numbers],
        **columns,
    })  # fmt: skip


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    table().to_pandas().to_csv(path, index=False)
    return path


def opened(path, **options):
    data = open_data(path, text="text", label="label", **options)
    return data, parse_axes(SPECS, names=data.names)


def in_one_pass(data, axes, **options):
    """By the reference: the tally of each batch, added."""
    passing = scan(data, axes, tokens=True)
    return total((Tally.of(one, axes, **options) for one in passing), start=Tally.zero(axes, **options))


@settings(max_examples=10, deadline=None)
@given(st.integers(20, 4000), st.booleans(), st.booleans())
def test_however_it_is_cut_the_count_is_that_of_one_pass(tmp_path_factory, part_bytes, weighted, words):
    path = tmp_path_factory.mktemp("cut") / "rows.parquet"
    pq.write_table(table(), path, row_group_size=7)
    data, axes = opened(path, weight="w" if weighted else None, id="number")
    starts = []
    found = counting(
        data, axes, words=words, part_bytes=part_bytes, watch=lambda one: starts.append((one.batch.start, one.batch.n))
    )
    ends = [0, *(start + n for start, n in starts)]
    assert [start for start, _ in starts] == ends[:-1]
    assert ends[-1] == 200
    assert found.tally == in_one_pass(data, axes, words=words)
    assert found.watched
    assert found.resumed == 0


def test_more_labels_and_batches_than_the_sums_have_room_for_at_first(monkeypatch, tmp_path):
    monkeypatch.setattr("evenset.data.normalise.BATCH_ROWS", 10)
    monkeypatch.setattr("evenset.data.normalise._JOIN_ROWS", 10)
    monkeypatch.setattr("evenset.audit.sums._WAITING", 5)
    path = tmp_path / "rows.parquet"
    pq.write_table(table(600, label=[f"label {k % 211}" for k in range(600)]), path)
    data, axes = opened(path)
    assert counting(data, axes).tally == in_one_pass(data, axes)


def test_a_killed_count_goes_on_where_it_was(rows, tmp_path):
    """Killed with SIGKILL while the third part is on its way."""
    out = tmp_path / "out"
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "import evenset.audit.engine as engine, evenset.audit.shard_files as files\n"
        "from evenset.data import open as open_data\n"
        "from evenset.data.axes import parse_axes\n"
        "from evenset.data.files import OutputFolder\n"
        f"data = open_data({str(rows)!r}, text='text', label='label', id='number')\n"
        f"axes = parse_axes({SPECS!r}, names=data.names)\n"
        "keep = files.Store.keep\n"
        "def dying(self, part, counted):\n"
        "    if part.number == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return keep(self, part, counted)\n"
        "files.Store.keep = dying\n"
        f"with OutputFolder.claim({str(out)!r}, command='audit', fingerprint='f'):\n"
        f"    engine.counting(data, axes, words=True, state=Path({str(out)!r}), part_bytes=1000)\n"
    )
    died = subprocess.run([sys.executable, "-c", code], check=False)
    assert died.returncode == -signal.SIGKILL
    data, axes = opened(rows, id="number")
    told, shown, progress = [], [], []
    with OutputFolder.claim(out, command="audit", fingerprint="f") as folder:
        assert folder.resumed
        found = counting(
            data, axes, words=True, state=out, part_bytes=1000, say=told.append,
            watch=lambda one: shown.append(one.batch.n), progress=lambda *args: progress.append(args),
        )  # fmt: skip
        assert (found.resumed, found.watched) == (2, False)
        assert 0 < sum(shown) < 200
        assert told == [f"going on: 2 of {found.parts} parts were counted before"]
        assert progress[0][1] > 0
        assert progress[-1] == ("reading", rows.stat().st_size, rows.stat().st_size)
        assert [done for _, done, _ in progress] == sorted(done for _, done, _ in progress)
        assert found.tally == in_one_pass(data, axes, words=True)
        clear(out)
    assert not (out / FOLDER).exists()


def test_everything_kept_is_recorded_as_evensets_own(rows, tmp_path):
    out = tmp_path / "out"
    data, axes = opened(rows, id="number")
    with OutputFolder.claim(out, command="audit", fingerprint="f"):
        counting(data, axes, state=out, part_bytes=2000)
        names = {entry.name for entry in (out / FOLDER).iterdir()}
        recorded = (out / ".evenset.files").read_text()
        assert names
        assert all(f'"{FOLDER}/{name}"' in recorded for name in names)
    with OutputFolder.claim(out, command="audit", fingerprint="other", overwrite=True):
        pass
    assert not (out / FOLDER).exists()


@pytest.mark.parametrize("damage", ["tally", "ids", "json", "gone", "empty", "schema"])
def test_a_damaged_count_is_said_and_made_again(rows, tmp_path, damage):
    data, axes = opened(rows, id="number")
    counting(data, axes, state=tmp_path, part_bytes=2000)
    one = sorted((tmp_path / FOLDER).glob("*.json"))[1]
    hit = {"tally": one.with_suffix(".arrow"), "ids": one.with_suffix(".ids")}.get(damage, one)
    if damage == "gone":
        one.with_suffix(".arrow").unlink()
    elif damage == "empty":
        one.write_bytes(b"")
    elif damage == "schema":
        one.write_text(one.read_text().replace("evenset.shard/1", "evenset.shard/9"))
    else:
        content = bytearray(hit.read_bytes())
        content[len(content) // 2] ^= 0xFF
        hit.write_bytes(content)
    told = []
    found = counting(data, axes, state=tmp_path, part_bytes=2000, say=told.append)
    assert found.tally == in_one_pass(data, axes)
    assert found.resumed == found.parts - 1
    assert len(told) == 2
    assert str(one.with_suffix("")) in told[0]
    assert f"part 2 of {found.parts} is counted again" in told[0]
    assert counting(data, axes, state=tmp_path, part_bytes=2000).resumed == found.parts


def test_counts_made_with_other_settings_are_made_again(rows, tmp_path):
    data, axes = opened(rows)
    counting(data, axes, state=tmp_path, part_bytes=2000)
    told = []
    found = counting(data, axes[:1], state=tmp_path, part_bytes=2000, say=told.append)
    assert found.resumed == 0
    assert "counted with other axes" in told[0]
    with rows.open("a") as file:
        file.write("She,yes,a,1,last\n")
    data, axes = opened(rows)
    assert counting(data, axes, state=tmp_path, part_bytes=2000).tally.rows == 201


def test_shards_counted_elsewhere_merge_to_the_whole(rows, tmp_path):
    data, axes = opened(rows, id="number")
    for number in range(1, 5):
        path = shard(data, axes, (number, 4), tmp_path / f"d{number}", words=True)
        assert path.name == f"shard-0000{number}-of-00004.json"
    merged = merge([tmp_path / f"d{number}" for number in (3, 1, 4, 2)])
    assert merged.tally == in_one_pass(data, axes, words=True)
    assert merged.shards == 4
    assert merged.about["columns"]["text"] == "text"
    assert merged.about["sha256"] is None
    content = json.loads((tmp_path / "d1" / FOLDER / "shard-00001-of-00004.json").read_text())
    assert str(tmp_path) not in json.dumps(content)


def test_more_shards_than_rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "She ran.", "label": "a"}\n{"text": "He ran.", "label": "b"}\n')
    data = open_data(path, text="text", label="label")
    axes = parse_axes(["pronouns"], names=data.names)
    folders = [shard(data, axes, (number, 7), tmp_path / f"d{number}").parent for number in range(1, 8)]
    assert merge(folders).tally == in_one_pass(data, axes)


def test_what_does_not_merge_is_refused_by_name(rows, tmp_path):
    data, axes = opened(rows)
    one, two, three = (shard(data, axes, (number, 3), tmp_path / f"d{number}").parents[1] for number in (1, 2, 3))
    with pytest.raises(InputError, match=r"1 of 3 shards is missing: 2; .*--shard 2/3"):
        merge([one, three])
    with pytest.raises(
        InputError, match=r"shard 2 of 3 is there twice, in .*d2.* and .*d2.*: its rows would count twice"
    ):
        merge([one, two, three, two])
    other = shard(data, axes[:2], (3, 3), tmp_path / "axes").parents[1]
    with pytest.raises(InputError, match=r"d1.* and .*axes.* differ in their axes \(.*pronouns.*\)"):
        merge([one, two, other])
    other = shard(data, axes, (3, 4), tmp_path / "four").parents[1]
    with pytest.raises(InputError, match=r"differ in their shards \(3 and 4\)"):
        merge([one, two, other])
    other = shard(data, axes, (3, 3), tmp_path / "words", words=True).parents[1]
    with pytest.raises(InputError, match=r"differ in their words kept"):
        merge([one, two, other])
    longer = tmp_path / "longer" / "rows.csv"
    longer.parent.mkdir()
    longer.write_bytes(rows.read_bytes() + b"She,yes,a,1,last\n")
    other = shard(*opened(longer), (3, 3), tmp_path / "data").parents[1]
    with pytest.raises(InputError, match=r"differ in their data"):
        merge([one, two, other])
    settings_file = next((three / FOLDER).glob("*.json"))
    text = settings_file.read_text()
    settings_file.write_text(text.replace('"evenset version": "', '"evenset version": "9'))
    with pytest.raises(InputError, match="differ in their evenset version"):
        merge([one, two, three])
    settings_file.write_text(text.replace('"settings"', '"setting"'))
    with pytest.raises(InputError, match=r"cannot be read as the count of a shard.*count that shard again"):
        merge([one, two, three])
    settings_file.write_text(text)
    settings_file.with_suffix(".arrow").write_bytes(b"ARROW1")
    with pytest.raises(InputError, match=r"damaged.*; count shard 3/3 again"):
        merge([one, two, three])
    with pytest.raises(InputError, match="holds no counted shard"):
        merge([tmp_path / "longer"])
    with pytest.raises(InputError, match="is no folder"):
        merge([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="--merge needs folders"):
        merge([])


@pytest.mark.parametrize("text", ["0/10", "11/10", "3", "a/b", "3/", "/3", "-1/3", "1/0", "1.5/3", ""])
def test_a_shard_that_cannot_be(text):
    with pytest.raises(InputError, match=f'--shard "{text}"'):
        parse_shard(text)


def test_an_id_that_comes_twice_in_two_parts_is_named_with_its_row(tmp_path):
    path = tmp_path / "rows.csv"
    numbers = [f"id {k}" for k in range(200)]
    numbers[150] = "id 3"
    table(number=numbers).to_pandas().to_csv(path, index=False)
    data, axes = opened(path, id="number")
    with pytest.raises(InputError, match="the id 'id 3' in column \"number\" comes again in row 151"):
        counting(data, axes, part_bytes=1000)
    folders = [shard(data, axes, (number, 4), tmp_path / f"d{number}").parent for number in range(1, 5)]
    with pytest.raises(InputError, match="an id comes twice"):
        merge(folders)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_error_names_the_row_as_one_pass_does(tmp_path, form):
    path = tmp_path / f"rows.{form}"
    rows = table(w=[1.0] * 170 + [-1.0] + [1.0] * 29)
    if form == "csv":
        rows.to_pandas().to_csv(path, index=False)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows.to_pylist()))
    with pytest.raises(InputError) as whole:
        opened(path, weight="w")
    # Opening looks at the first rows, so the mistake is made afterwards.
    good = path.read_text()
    path.write_text(good.replace("-1.0", "+1.0") if form == "csv" else good.replace("-1.0", "1.00"))
    data, axes = opened(path, weight="w")
    path.write_text(good)
    for work in (
        lambda: counting(data, axes, part_bytes=500),
        lambda: shard(data, axes, (4, 4), tmp_path / "out"),
    ):
        with pytest.raises(InputError) as error:
            work()
        assert str(error.value) == str(whole.value)
        assert "171" in str(error.value)
    assert not list(tmp_path.glob("out/**/*.json"))


def test_what_only_all_rows_show_is_judged_at_the_end(tmp_path):
    path = tmp_path / "rows.csv"
    table(label=["no"] * 199 + ["yes"]).to_pandas().to_csv(path, index=False)
    data, axes = opened(path, need_label=True, positive="yes")
    assert counting(data, axes, part_bytes=1000).tally.labels == ("no", "yes")
    path.write_text(path.read_text().replace(",yes,", ",no,"))
    with pytest.raises(InputError, match='the positive label "yes" never comes'):
        counting(data, axes, part_bytes=1000)


def test_too_many_values_over_all_parts_are_no_classes(tmp_path):
    path = tmp_path / "rows.csv"
    table(2600, team=[f"team {k}" for k in range(2600)]).to_pandas().to_csv(path, index=False)
    data, axes = opened(path)
    with pytest.raises(InputError, match=r"column:team.*2,000 different groups"):
        counting(data, axes, part_bytes=20_000)


def test_a_full_disk_is_one_message_and_leaves_no_half_a_count(rows, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    data, axes = opened(rows)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="the disk is full"):
        counting(data, axes, state=tmp_path / "out", part_bytes=1000)
    monkeypatch.undo()
    assert not list((tmp_path / "out").glob("**/shard-*"))
    assert counting(data, axes, state=tmp_path / "out", part_bytes=1000).resumed == 0


# -- the command ------------------------------------------------------------------------------------------------------


def command(*arguments):
    from evenset.cli import invoke

    return invoke([str(argument) for argument in arguments])


def test_the_command_counts_shards_and_merges_them_to_the_report_of_the_whole(rows, tmp_path, capsys):
    columns = ["--text", "text", "--label", "label", "--axis", "pronouns", "--axis", "column:team"]
    measures = "counts,association"
    folders = [tmp_path / f"d{number}" for number in (1, 2, 3)]
    for number, folder in enumerate(folders, start=1):
        assert command("audit", rows, *columns, "--shard", f"{number}/3", "--out", folder, "--quiet") == 0
    assert command("audit", rows, *columns, "--measures", measures, "--out", tmp_path / "whole", "--quiet") == 0
    capsys.readouterr()
    measures += ",leakage"
    assert command("audit", "--merge", *folders, "--out", tmp_path / "merged", "--measures", measures) == 0
    assert "leakage left out: it needs the rows themselves" in capsys.readouterr().err
    whole, merged = (json.loads((tmp_path / name / "audit.json").read_text()) for name in ("whole", "merged"))
    assert merged["findings"] == whole["findings"]
    assert merged["scores"] == whole["scores"]
    assert merged["leakage"] is None
    assert merged["dataset"]["sha256"] is None
    assert not (tmp_path / "merged" / "flagged.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard", "0/10", "--out", "o"], '--shard "0/10": the shards of 10 are numbered 1 to 10'),
        (["--shard", "11/10", "--out", "o"], '--shard "11/10"'),
        (["--shard", "1/2"], "--shard needs --out"),
        (["--shard", "1/2", "--merge"], "give one of them"),
        (["--shard", "1/2", "--engine", "dask"], "counts a whole data set"),
        (["--engine", "spark"], '--engine "spark" is none of local, dask'),
        (["--merge", "--axis", "identity"], "--merge takes axes and columns from the counts"),
        (["--merge"], "holds no counted shard"),
    ],
)
def test_what_the_command_refuses(rows, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    data = rows.parent if "--merge" in arguments else rows
    assert command("audit", data, *arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("error:") == 1
    assert not (tmp_path / "o" / FOLDER).exists()


def test_the_bar_shows_megabytes_and_their_rate(monkeypatch):
    import io

    from rich.console import Console

    from evenset.audit.engine import READING
    from evenset.commands import screen
    from evenset.commands.screen import progress_shown
    from evenset.data import display

    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100)
    monkeypatch.setattr(screen, "stderr", lambda: console)
    with progress_shown(quiet=False) as update:
        update(READING, 0, 500_000_000)
        for done in range(1, 6):
            time.sleep(0.15)
            update(READING, done * 50_000_000, 500_000_000)
        update("leakage", 1, 3)
        time.sleep(0.15)
    shown = written.getvalue()
    assert display.READING == READING
    assert "250/500 MB" in shown
    assert " MB/s" in shown
    assert " s left" in shown
    assert "1/3" in shown
    with progress_shown(quiet=True) as update:
        assert update is None
    monkeypatch.setattr(screen, "stderr", lambda: Console(file=io.StringIO()))
    with progress_shown(quiet=False) as update:
        assert isinstance(update, display.Lines)  # in a pipe a line now and then, and none of a short command
