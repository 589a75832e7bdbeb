import numpy as np
import pytest

from harness.data.packed import BLOCK, Packed, Packer, arrow_strings, positions

ODD = ["", "a", "日本語", "half \ud800 a pair", "\x00", "é" * 1000]


def strings(count):
    return [*ODD, *(f"d{i}" for i in range(count))]


@pytest.mark.parametrize("count", [0, 1, BLOCK - len(ODD), BLOCK, 2 * BLOCK + 3])
def test_it_is_the_list(count):
    plain = strings(count)
    found = Packed(plain)
    assert len(found) == len(plain)
    assert found == plain
    assert plain == found
    assert found == Packed(plain)
    assert list(found) == plain
    assert [found[i] for i in range(len(plain))] == plain
    assert (found[-1], found[2:5], found[::-2]) == (plain[-1], plain[2:5], plain[::-2])
    assert [raw.decode("utf-8", "surrogatepass") for raw in found.raw()] == plain
    for outside in (len(plain), -len(plain) - 1):
        with pytest.raises(IndexError):
            found[outside]


def test_what_it_is_not():
    assert Packed(["a", "b"]) != ["a"]
    assert Packed(["a", "b"]) != ["a", "c"]
    assert Packed("ab") != "ab"
    assert Packed(["a"]) != 3
    assert repr(Packed("abcd")) == "Packed(['a', 'b', 'c'], ...)"
    assert not Packed()


def test_draining_yields_all_and_leaves_nothing():
    plain = strings(2 * BLOCK)
    found = Packed(plain)
    out = found.drained()
    first = [next(out) for _ in range(BLOCK + 1)]
    assert len(found) < len(plain) - BLOCK
    assert [*first, *out] == plain
    assert len(found) == 0


def test_packing_values_one_by_one():
    packer = Packer()
    for value in [None, 7, "x", *map(str, range(BLOCK))]:
        packer.append(value)
    assert packer.packed() == ["", "7", "x", *map(str, range(BLOCK))]
    assert Packer().packed() == []


@pytest.mark.parametrize("count", [0, 5, 2 * BLOCK])
@pytest.mark.parametrize("make", [list, tuple, Packed])
def test_as_arrow(make, count):
    plain = [f"d{i}" for i in range(count)]
    found = arrow_strings(make(plain))
    assert found.to_pylist() == plain
    assert found.type == "large_string"


def test_arrow_shares_the_memory():
    found = Packed(f"d{i}" for i in range(10))
    buffer = found.arrow().chunk(0).buffers()[2]
    assert np.frombuffer(buffer, np.uint8).ctypes.data == np.frombuffer(found._data[0], np.uint8).ctypes.data


def test_positions_are_those_of_the_wanted():
    assert positions(Packed("abcd"), {"b", "d", "z"}) == {"b": 1, "d": 3}


def test_a_string_takes_little_more_than_its_bytes():
    import sys

    found = Packed("x" * 8 for _ in range(BLOCK))
    held = sum(map(sys.getsizeof, (*found._data, *found._ends)))
    assert held < (8 + 8 + 1) * BLOCK
