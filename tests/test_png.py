"""Decoded PNG files against Pillow."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bdd100k_models.formats import png
from bdd100k_models.formats.runs import Runs

FORMS = {"L": (), "RGBA": (4,), "RGB": (3,), "P": (), "I;16": ()}


def encode(mode: str, shape: tuple[int, int], seed: int) -> tuple[bytes, np.ndarray]:
    rng = np.random.default_rng(seed)
    high = 65536 if mode == "I;16" else 256
    pixels = rng.integers(0, high, (*shape, *FORMS[mode])).astype(np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(pixels) if mode != "P" else Image.fromarray(pixels).convert("P")
    if mode == "P":
        image.putdata(pixels.ravel().tolist())
        image.putpalette(rng.integers(0, 256, 768).astype(np.uint8).tobytes())
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue(), pixels


@pytest.mark.parametrize("mode", list(FORMS))
@given(st.tuples(st.integers(1, 20), st.integers(1, 20)), st.integers(0, 1 << 32))
def test_pixels_are_kept(mode: str, shape: tuple[int, int], seed: int) -> None:
    data, pixels = encode(mode, shape, seed)
    channels = {"RGB": [2, 1, 0], "RGBA": [2, 1, 0, 3]}.get(mode)
    decoded = png.decode_png(data)
    assert decoded is not None and decoded.dtype == pixels.dtype
    assert np.array_equal(decoded, pixels[..., channels] if channels else pixels)


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([(), (4,)]),
    st.integers(0, 1 << 32),
    st.sampled_from([1, 2, 9]),
)
def test_quickly_encoded_pixels_are_kept(
    shape: tuple[int, int], channels: tuple[int, ...], seed: int, kinds: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, kinds, shape), axis=int(rng.integers(2)))  # runs of any length, up and across
    entries = rng.integers(0, 256, (kinds, *channels), dtype=np.uint8)  # some maybe equal
    pixels = entries[labels]
    data = png.encode_png_quickly(Runs.of(labels.astype(np.int16)), entries)
    decoded = png.decode_png(data)
    assert decoded is not None and np.array_equal(decoded, pixels[..., [2, 1, 0, 3]] if channels else pixels)
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.mode == ("RGBA" if channels else "L")
    assert np.array_equal(np.asarray(image), pixels)


def test_a_gray_with_a_transparent_value() -> None:
    file = io.BytesIO()
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(file, "PNG", transparency=5)
    decoded = png.decode_png(file.getvalue())
    assert decoded is not None and decoded.shape[:2] == (3, 4)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_are_read_as_pillow_reads_them(depth: int) -> None:
    values = np.random.default_rng(0).integers(0, 2**depth, (9, 20), dtype=np.uint8)
    packed = np.packbits(np.unpackbits(values[..., None], axis=2)[..., -depth:].reshape(9, -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", 20, 9, depth, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ):
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    decoded = png.decode_png(data)
    assert decoded is not None and decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, np.asarray(Image.open(io.BytesIO(data)), np.uint8))
    assert len(np.unique(decoded)) == 2**depth


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_damage_is_noticed(mode: str) -> None:
    data, _ = encode(mode, (30, 40), 0)
    for cut in (0, 7, 20, 33, len(data) // 2, len(data) - 12):
        assert png.decode_png(data[:cut]) is None
    assert png.decode_png(b"GIF89a" + data) is None


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_a_wrong_checksum_is_noticed(mode: str) -> None:
    data, _ = encode(mode, (30, 40), 0)
    middle = len(data) // 2
    assert png.decode_png(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]) is None
