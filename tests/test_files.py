"""Outputs are whole or absent, and an output folder is one run's and one process's."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from evenset.data import InputError
from evenset.data.errors import require, suggest
from evenset.data.files import (
    OutputFolder,
    atomic,
    atomic_folder,
    sha256_file,
    sha256_files,
    write_bytes,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


class TestAtomic:
    def test_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "er" / "a.txt"
        with atomic(path) as part:
            part.write_text("new")
            assert part.parent == path.parent
            assert not path.exists()
        assert path.read_text() == "new"
        assert names(path.parent) == ["a.txt"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_absent_whatever_happens(self, tmp_path: Path, error: type[BaseException]) -> None:
        path = tmp_path / "a.txt"
        path.write_text("old")

        def interrupted() -> None:
            with atomic(path) as part:
                part.write_text("half")
                raise error

        with pytest.raises(error):
            interrupted()
        assert path.read_text() == "old"
        assert names(tmp_path) == ["a.txt"]

    def test_a_real_interrupt_leaves_nothing(self, tmp_path: Path) -> None:
        code = """
            import signal, sys, time
            from evenset.data.files import atomic
            signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may have it ignored
            with atomic(sys.argv[1]) as part:
                part.write_text("half")
                print("writing", flush=True)
                time.sleep(60)
        """
        process = python(code, str(tmp_path / "a.txt"))
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert len(names(tmp_path)) == 1
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode != 0
        assert names(tmp_path) == []

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
    def test_trouble_with_the_disk_is_one_message(self, tmp_path: Path, number: int) -> None:
        path = tmp_path / "a.txt"

        def full() -> None:
            with atomic(path):
                raise OSError(number, os.strerror(number))

        with pytest.raises(InputError, match=f'^cannot write "{path}": ') as caught:
            full()
        assert "choose another --out" in str(caught.value)
        assert names(tmp_path) == []

    def test_other_errors_are_left_alone(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError), atomic(tmp_path / "a.txt"):
            (tmp_path / "missing").read_text()
        assert names(tmp_path) == []

    def test_a_file_size_limit_met_by_real_writes(self, tmp_path: Path) -> None:
        code = """
            import resource, signal, sys
            from evenset.data import InputError
            from evenset.data.files import write_bytes
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            try:
                write_bytes(sys.argv[1], bytes(100_000))
            except InputError as error:
                print(error)
        """
        process = python(code, str(tmp_path / "a.bin"))
        out, err = process.communicate(timeout=60)
        assert "the file is too large for this file system" in out, err
        assert names(tmp_path) == []

    def test_places_that_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="a part of the path is a file"):
            write_text(tmp_path / "file" / "a.txt", "")
        with pytest.raises(InputError, match="there is a folder of that name"):
            write_text(tmp_path, "")
        with pytest.raises(InputError, match="not an ordinary file"):
            write_text("/dev/full", "")

        def refuse(*_: object) -> int:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(InputError, match="you may not write there"):
            write_text(tmp_path / "a.txt", "")
        assert names(tmp_path) == ["file"]

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real.txt").write_text("old")
        (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
        write_text(tmp_path / "link.txt", "new")
        assert (tmp_path / "link.txt").is_symlink()
        assert (tmp_path / "real.txt").read_text() == "new"

    def test_permissions(self, tmp_path: Path) -> None:
        write_bytes(tmp_path / "a", b"", mode=0o600)
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600

    def test_names_of_full_length(self, tmp_path: Path) -> None:
        write_text(tmp_path / ("n" * 255), "fits")
        with pytest.raises(InputError, match="the name is too long"):
            write_text(tmp_path / ("n" * 256), "does not")
        assert names(tmp_path) == ["n" * 255]


class TestAtomicFolder:
    def test_replaces_as_a_whole(self, tmp_path: Path) -> None:
        for content in ("one", "two"):
            with atomic_folder(tmp_path / "rows") as part:
                (part / content).write_text(content)
            assert names(tmp_path) == ["rows"]
            assert names(tmp_path / "rows") == [content]

    def test_keeps_the_old_one_when_it_fails(self, tmp_path: Path) -> None:
        (tmp_path / "rows").mkdir()
        (tmp_path / "rows" / "old").write_text("")

        def interrupted() -> None:
            with atomic_folder(tmp_path / "rows") as part:
                (part / "new").write_text("")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert names(tmp_path) == ["rows"]
        assert names(tmp_path / "rows") == ["old"]

    def test_refuses_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "rows").write_text("")
        with pytest.raises(InputError, match="there is a file of that name"), atomic_folder(tmp_path / "rows"):
            pass


class TestJson:
    def test_what_it_writes(self, tmp_path: Path) -> None:
        content = {
            "z": float("nan"),
            "a": [np.float64(0.5), np.int32(3), float("inf")],
            "é": (np.array([1, 2]), {"b", "a"}, Path("x/y"), None, True),
        }
        write_json(tmp_path / "a.json", content)
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert "é" in text
        assert list(json.loads(text)) == ["z", "a", "é"]
        assert json.loads(text) == {"z": None, "a": [0.5, 3, None], "é": [[1, 2], ["a", "b"], "x/y", None, True]}

    def test_what_it_cannot_write(self, tmp_path: Path) -> None:
        with pytest.raises(TypeError, match="no JSON for object"):
            write_json(tmp_path / "a.json", {"a": object()})
        assert names(tmp_path) == []


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab")
    (tmp_path / "b").write_bytes(b"c")
    # The standard's own test vector for "abc".
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_files([tmp_path / "a", tmp_path / "b"]) == known
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == known


class TestOutputFolder:
    def claim(
        self, path: Path, fingerprint: str = "f1", *, command: str = "audit", overwrite: bool = False
    ) -> OutputFolder:
        return OutputFolder.claim(path, command=command, fingerprint=fingerprint, overwrite=overwrite)

    def test_new_then_resumed(self, tmp_path: Path) -> None:
        with self.claim(tmp_path / "new" / "out") as folder:
            assert not folder.resumed
            assert folder / "a" == tmp_path / "new" / "out" / "a"
            (folder / "result").write_text("done")
        with self.claim(tmp_path / "new" / "out") as folder:
            assert folder.resumed
            assert (folder / "result").read_text() == "done"
        marker = json.loads((tmp_path / "new" / "out" / ".evenset.json").read_text())
        assert (marker["command"], marker["fingerprint"]) == ("audit", "f1")
        assert names(tmp_path / "new" / "out") == [".evenset.files", ".evenset.json", "result"]

    def test_another_run(self, tmp_path: Path) -> None:
        self.claim(tmp_path).release()
        with pytest.raises(InputError, match=r"holds another run's files .* of other data or settings.* --overwrite"):
            self.claim(tmp_path, "f2")
        with pytest.raises(InputError, match=r"holds another run's files \(evenset audit\); choose another --out"):
            self.claim(tmp_path, command="curate")

    def test_files_of_somebody_else(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("precious")
        with pytest.raises(InputError, match="holds files that evenset did not write"):
            self.claim(tmp_path)
        assert names(tmp_path) == ["thesis.tex"]

    def test_overwrite_removes_what_the_other_run_wrote_and_nothing_else(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("precious")
        with self.claim(tmp_path, overwrite=True) as folder:
            write_text(folder / "old.json", "old")
            write_text(folder / "edited.json", "old")
            write_text(folder / "again.json", "old")
            write_text(folder / "runs" / "1.json", "old")
            write_text(folder / "runs" / "w" / "1.json", "old")
            (folder / "log.txt").write_text("not through evenset")
        (tmp_path / "runs" / "notes.txt").write_text("precious")
        (tmp_path / "edited.json").write_text("edited by hand")
        with self.claim(tmp_path, "f2", overwrite=True) as folder:
            assert not folder.resumed
            write_text(folder / "again.json", "new")
            assert (folder / "old.json").read_text() == "old"  # until the new run has ended well
        kept = ["again.json", "edited.json", "log.txt", "runs", "thesis.tex"]
        assert names(tmp_path) == [".evenset.files", ".evenset.json", *kept]
        assert names(tmp_path / "runs") == ["notes.txt"]
        assert (tmp_path / "again.json").read_text() == "new"
        with self.claim(tmp_path, "f2") as folder:
            assert folder.resumed

    def test_overwrite_follows_no_link_and_no_path_out_of_the_folder(self, tmp_path: Path) -> None:
        out, home = tmp_path / "out", tmp_path / "home"
        with self.claim(out) as folder:
            write_text(folder / "data" / "a", "mine")
        (out / "data").rename(home)
        (out / "data").symlink_to(home)
        size, changed = (home / "a").stat().st_size, (home / "a").stat().st_mtime_ns
        with (out / ".evenset.files").open("a") as record:
            record.write(json.dumps(["../home/a", size, changed]) + "\n")
            record.write(json.dumps([str(home / "a"), size, changed]) + "\n")
            record.write("[1, 2\n{}\n7\n")
        with self.claim(out, "f2", overwrite=True):
            pass
        assert (home / "a").read_text() == "mine"

    def test_a_folder_with_files_of_somebody_else_is_not_replaced(self, tmp_path: Path) -> None:
        with self.claim(tmp_path) as folder:
            for content in ("one", "two"):
                with atomic_folder(folder / "rows") as part:
                    (part / "a").write_text(content)
            (folder / "rows" / "notes.txt").write_text("precious")
            with (
                pytest.raises(InputError, match=r'"notes\.txt", which evenset did not write'),
                atomic_folder(folder / "rows"),
            ):
                pass
        assert names(tmp_path / "rows") == ["a", "notes.txt"]

    def test_after_an_error_the_folder_is_as_it_was(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt), self.claim(tmp_path / "new" / "out"):
            raise KeyboardInterrupt
        assert names(tmp_path) == []
        with self.claim(tmp_path / "out") as folder:
            write_text(folder / "old.json", "old")
        before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        for overwrite, fingerprint in ((True, "f2"), (False, "f1")):
            with pytest.raises(InputError), self.claim(tmp_path / "out", fingerprint, overwrite=overwrite):
                raise InputError("x")
            assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before

    def test_after_an_error_what_was_finished_is_kept(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt), self.claim(tmp_path / "out") as folder:  # noqa: PT012
            write_text(folder / "runs" / "1.json", "done")
            raise KeyboardInterrupt
        with self.claim(tmp_path / "out") as folder:
            assert folder.resumed
            assert names(folder / "runs") == ["1.json"]
        assert names(tmp_path / "out" / "runs") == ["1.json"]

    def test_what_is_written_outside_a_claim_is_the_users(self, tmp_path: Path) -> None:
        with self.claim(tmp_path):
            pass
        write_text(tmp_path / "evenset.toml", "")
        with self.claim(tmp_path, "f2", overwrite=True):
            pass
        assert "evenset.toml" in names(tmp_path)

    def test_overwrite_of_the_same_run_goes_on(self, tmp_path: Path) -> None:
        with self.claim(tmp_path) as folder:
            (folder / "half").write_text("")
        with self.claim(tmp_path, overwrite=True) as folder:
            assert folder.resumed
        assert "half" in names(tmp_path)

    def test_spooled_input_does_not_take_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / ".evenset-stdin.csv").write_text("")
        self.claim(tmp_path).release()

    def test_two_claims_at_once(self, tmp_path: Path) -> None:
        with self.claim(tmp_path):
            for overwrite in (False, True):
                with pytest.raises(InputError, match=rf"another evenset process \({os.getpid()}\) is writing"):
                    self.claim(tmp_path, overwrite=overwrite)
        self.claim(tmp_path).release()

    def test_two_processes_and_one_that_was_killed(self, tmp_path: Path) -> None:
        code = """
            import sys, time
            from evenset.data.files import OutputFolder
            folder = OutputFolder.claim(sys.argv[1], command="audit", fingerprint="f1")
            print("claimed", flush=True)
            time.sleep(60)
        """
        process = python(code, str(tmp_path))
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        with pytest.raises(InputError, match=rf"another evenset process \({process.pid}\) is writing"):
            self.claim(tmp_path)
        process.kill()
        process.communicate(timeout=30)
        assert ".evenset.lock" in names(tmp_path)  # left behind by the dead
        with self.claim(tmp_path) as folder:
            assert folder.resumed
        assert ".evenset.lock" not in names(tmp_path)

    def test_a_place_that_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("")
        with pytest.raises(InputError, match="a part of the path is a file"):
            self.claim(tmp_path / "a")
        with pytest.raises(InputError, match="a part of the path is a file"):
            self.claim(tmp_path / "a" / "b")

    def test_a_marker_that_is_damaged_is_no_marker(self, tmp_path: Path) -> None:
        self.claim(tmp_path).release()
        (tmp_path / ".evenset.json").write_text("{")
        (tmp_path / "result").write_text("")
        with pytest.raises(InputError, match="holds files"):
            self.claim(tmp_path)


class TestErrors:
    def test_suggest(self) -> None:
        assert suggest("Txt", ["text", "label"]) == ' Did you mean "text"?'
        assert suggest("LABEL", ["text", "label"]) == ' Did you mean "label"?'
        assert suggest("q", ["text", "label"]) == ""
        assert suggest("q", []) == ""

    def test_require(self) -> None:
        assert require("json", extra="x", why="y") is json
        with pytest.raises(InputError) as caught:
            require("no_such_module.sub", extra="vectors", why="measuring directions")
        message = str(caught.value)
        assert message.startswith('measuring directions needs the package "no_such_module", which cannot be imported')
        assert message.endswith('pip install "evenset[vectors]"')
