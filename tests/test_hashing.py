"""Keys depend on content alone, and randomness on keys alone."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenset.data import InputError
from evenset.data.hashing import Seen, combine, hash64, mix, row_keys, uniform

TEXTS = st.lists(st.text(max_size=8), max_size=30)
KEYS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30).map(lambda keys: np.array(keys, dtype=np.uint64))


class TestHash64:
    def test_it_is_blake2b(self) -> None:
        person = hashlib.blake2b(b"salt", digest_size=16).digest()
        digest = hashlib.blake2b("é".encode(), digest_size=8, person=person).digest()
        assert hash64(["é"], salt="salt").tolist() == [int.from_bytes(digest, "little")]

    @given(TEXTS)
    def test_the_array_type_does_not_matter(self, texts: list[str]) -> None:
        expected = hash64(texts, salt="s").tolist()
        for kind in (pa.string(), pa.large_string(), pa.binary()):
            values = pa.array([text.encode() for text in texts], kind)
            assert hash64(values, salt="s").tolist() == expected
        assert hash64(pa.chunked_array([texts[:3], texts[3:]], pa.string()), salt="s").tolist() == expected

    def test_slices_nulls_and_salts(self) -> None:
        values = pa.array(["a", None, "", "a"])
        keys = hash64(values, salt="s")
        assert hash64(values.slice(1, 2), salt="s").tolist() == keys[1:3].tolist()
        assert len(set(keys.tolist())) == 3
        assert keys[0] == keys[3]
        assert not (hash64(values, salt="t") == keys).any()
        assert hash64([], salt="s").tolist() == []


class TestMix:
    @given(KEYS, st.integers(), st.text(max_size=5))
    def test_a_function_of_each_key(self, keys: np.ndarray, seed: int, purpose: str) -> None:
        mixed = mix(keys, salt=(seed, purpose))
        assert mixed[::-1].tolist() == mix(keys[::-1], salt=(seed, purpose)).tolist()
        assert len(set(mixed.tolist())) == len(set(keys.tolist()))  # a bijection
        assert mixed.dtype == np.uint64

    def test_salts_are_told_apart(self) -> None:
        keys = np.arange(1000, dtype=np.uint64)
        salts = [0, "0", (0, "a"), ("0", "a"), (0, "b"), (1, "a"), ("0a",), ("", "0")]
        results = np.stack([mix(keys, salt=salt) for salt in salts])
        for one in range(len(salts)):
            for other in range(one):
                assert not (results[one] == results[other]).any()

    def test_it_is_splitmix64_twice(self) -> None:
        """The numbers decide which rows a seed draws, so they may never change."""

        def splitmix(key: int) -> int:
            z = (key + 0x9E3779B97F4A7C15) % 2**64
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
            return z ^ (z >> 31)

        salt = hashlib.blake2b(b"int:0\x1fstr:resample", digest_size=16).digest()
        first, second = (int.from_bytes(salt[at : at + 8], "little") for at in (0, 8))
        expected = splitmix((splitmix((1 + first) % 2**64) + second) % 2**64)
        assert mix(np.array([1], dtype=np.uint64), salt=(0, "resample")).tolist() == [expected]
        assert splitmix(1234567) == 6457827717110365317  # the first number of the authors' own test vector

    def test_neighbours_spread_evenly(self) -> None:
        values = np.sort(uniform(mix(np.arange(100_000, dtype=np.uint64), salt=(0, "x"))))
        distance = np.abs(values - (np.arange(100_000) + 0.5) / 100_000).max()
        assert distance < 1.95 / np.sqrt(100_000)  # Kolmogorov-Smirnov at one in a thousand; a fixed seed

    def test_bits_avalanche(self) -> None:
        keys = np.arange(2000, dtype=np.uint64)
        for bit in (0, 17, 63):
            flipped = mix(keys, salt="a") ^ mix(keys ^ np.uint64(1 << bit), salt="a")
            share = np.unpackbits(flipped.view(np.uint8)).mean()
            assert abs(share - 0.5) < 0.01

    @given(KEYS)
    def test_combine_minds_the_order(self, keys: np.ndarray) -> None:
        others = keys ^ np.uint64(1)
        assert (combine(keys, others) != combine(others, keys)).all()


@given(KEYS)
def test_uniform_lies_strictly_between(keys: np.ndarray) -> None:
    values = uniform(np.append(keys, np.array([0, 2**64 - 1], dtype=np.uint64)))
    assert ((values > 0) & (values < 1)).all()


class TestRowKeys:
    @given(
        st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["0", "1", None])), max_size=20),
        st.randoms(),
    )
    def test_order_free_and_unique(self, rows: list[tuple[str, str | None]], random: object) -> None:
        def keys(rows: list[tuple[str, str | None]]) -> list[int]:
            texts, labels = [text for text, _ in rows], [label for _, label in rows]
            result: list[int] = row_keys(pa.array(texts, pa.string()), pa.array(labels, pa.string())).tolist()
            return result

        shuffled = list(rows)
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        assert len(set(keys(rows))) == len(rows)
        assert sorted(keys(shuffled)) == sorted(keys(rows))

    @given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 7))
    def test_batches_do_not_matter(self, texts: list[str], size: int) -> None:
        seen = Seen()
        parts = [row_keys(pa.array(texts[at : at + size]), seen=seen) for at in range(0, len(texts), size)]
        together = row_keys(pa.array(texts, pa.string()))
        assert [key for part in parts for key in part.tolist()] == together.tolist()

    def test_a_label_is_content(self) -> None:
        text = pa.array(["a"])
        keys = {row_keys(text).item()}
        keys |= {row_keys(text, pa.array([label], pa.string())).item() for label in ("0", "1", None)}
        assert len(keys) == 4

    def test_ids(self) -> None:
        text = pa.array(["same", "same"])
        keys = row_keys(text, ids=pa.array([1, 2]))
        assert row_keys(pa.array(["other", "text"]), ids=pa.array(["1", "2"])).tolist() == keys.tolist()
        seen = Seen()
        row_keys(text, ids=pa.array(["x", "y"]), seen=seen)
        with pytest.raises(InputError, match=r"^the id 'x' in column \"key\" comes again in row 4"):
            row_keys(text, ids=pa.array(["z", "x"]), seen=seen, start=2, id_name="key")
        with pytest.raises(InputError, match=r'^row 12 has no value in the id column "id"'):
            row_keys(text, ids=pa.array(["z", None]), start=10)
