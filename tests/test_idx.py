import gzip
import math
import struct
import tracemalloc
import zlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autoencoder.data.idx import read_idx, unpack
from autoencoder.errors import UserError

ANY_SHAPE = st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple)


def idx(shape: tuple[int, ...], values: bytes) -> bytes:
    """An IDX file as its authors describe it."""
    return bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape) + values


def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(100 << 20))
    tracemalloc.start()
    with pytest.raises(UserError, match="expected 1,000 bytes unpacked, found more"):
        unpack(bomb, 1000, "file")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20


@given(content=st.binary(max_size=200))
def test_unpacking_is_the_inverse_of_packing(content: bytes) -> None:
    assert unpack(gzip.compress(content), len(content), "file") == content


@given(content=st.binary(min_size=1, max_size=50), data=st.data())
def test_a_damaged_gzip_file_is_refused_or_unpacks_to_the_same(content: bytes, data: st.DataObject) -> None:
    packed = bytearray(gzip.compress(content))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    packed = packed[: data.draw(st.integers(0, len(packed)))]
    try:
        unpacked = unpack(bytes(packed), len(content), "file")
    except UserError:
        return
    assert unpacked == content  # the damage is in the time stamp or the name


@pytest.mark.parametrize("missing", range(1, 9))
def test_a_gzip_stream_with_all_its_bytes_and_without_its_end_is_refused(missing: int) -> None:
    content = bytes(range(256)) * 4
    packed = gzip.compress(content)[:-missing]
    assert zlib.decompressobj(wbits=31).decompress(packed) == content  # nothing of the content is cut off
    with pytest.raises(
        UserError, match=r"^file: expected 1,024 bytes unpacked, found 1,024 and no end; fetch it again"
    ):
        unpack(packed, len(content), "file")


def test_a_whole_gzip_stream_of_fewer_bytes_is_refused() -> None:
    with pytest.raises(UserError, match=r"^file: expected 4 bytes unpacked, found 3; fetch it again"):
        unpack(gzip.compress(b"abc"), 4, "file")


@given(shape=ANY_SHAPE, data=st.data())
def test_idx_is_read_as_numpy_reads_it(shape: tuple[int, ...], data: st.DataObject) -> None:
    values = data.draw(st.binary(min_size=math.prod(shape), max_size=math.prod(shape)))
    tensor = read_idx(idx(shape, values), shape, "file")
    assert tensor.dtype == torch.uint8
    assert tensor.shape == shape
    assert tensor.numpy().tobytes() == values


@given(shape=ANY_SHAPE, data=st.data())
def test_idx_of_another_shape_type_or_length_is_refused(shape: tuple[int, ...], data: st.DataObject) -> None:
    content = idx(shape, bytes(math.prod(shape)))
    header = 4 + 4 * len(shape)
    if data.draw(st.booleans()):
        position = data.draw(st.integers(0, header - 1))
        content = (
            content[:position] + bytes([content[position] ^ data.draw(st.integers(1, 255))]) + content[position + 1 :]
        )
    else:
        content = data.draw(st.sampled_from([content + b"\0", content[: data.draw(st.integers(0, len(content) - 1))]]))
    with pytest.raises(UserError, match=r"^file: expected "):
        read_idx(content, shape, "file")


@given(content=st.binary(max_size=64))
def test_any_bytes_but_the_true_ones_are_refused_with_one_line(content: bytes) -> None:
    for attempt in (content, struct.pack(">4BI", 0, 0, 8, 1, 100) + content):
        with pytest.raises(UserError) as caught:
            read_idx(attempt, (100,), "file")
        assert "\n" not in str(caught.value)
