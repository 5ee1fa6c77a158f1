"""Every kind of picture file comes out as the RGB a person sees, and every kind of rubbish as one clear error."""

import io
import os
import struct
import threading
import zlib
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from skimage.data import astronaut
from torchvision import transforms

from advcli.errors import ContractError, ImageError
from advcli.images import reading
from advcli.images.reading import decode, fit, read_bytes

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    picture = decode(data, "picture")
    assert picture.mode == "RGB"
    return np.asarray(picture)


def corners() -> Image.Image:
    """Red, green above blue, white, in blocks of eight so that JPEG keeps them apart."""
    square = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)
    return Image.fromarray(square.repeat(8, axis=0).repeat(8, axis=1))


def tiff(values: np.ndarray, *, photometric: int = 1, sample_format: int = 1, order: str = "<") -> bytes:
    """Write an uncompressed TIFF by hand: Pillow writes few of the kinds that exist."""
    height, width, channels = values.shape
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    bits = values.dtype.itemsize * 8
    start = 8 + 2 + 12 * 10 + 4
    extra = struct.pack(f"{order}{channels}H", *[bits] * channels) if channels > 2 else b""
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, start if extra else bits),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, start + len(extra)),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
        (339, 3, 1, sample_format),
    ]
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (struct.pack(f"{order}HH", value, 0) if kind == 3 and count == 1 else struct.pack(f"{order}I", value))
        for tag, kind, count, value in tags
    )
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}IH", 8, len(tags)) + entries + b"\0" * 4 + extra + data


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_lossless_formats_keep_every_pixel(kind):
    assert np.array_equal(pixels(encoded(corners(), kind)), np.asarray(corners()))


def test_lossless_webp_keeps_every_pixel():
    assert np.array_equal(pixels(encoded(corners(), "WEBP", lossless=True)), np.asarray(corners()))


def test_jpeg_keeps_colors_nearly():
    seen = pixels(encoded(corners(), "JPEG", quality=95, subsampling=0)).astype(int)
    assert np.abs(seen - np.asarray(corners())).max() <= 6


def test_the_bytes_decide_the_format_whatever_the_name(tmp_path):
    (tmp_path / "lies.jpg").write_bytes(encoded(corners(), "PNG"))
    picture = decode(read_bytes(tmp_path / "lies.jpg"), "lies.jpg")
    assert np.array_equal(np.asarray(picture), np.asarray(corners()))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_bilevel_becomes_black_and_white(kind):
    picture = Image.fromarray(np.array([[True, False, True]]))
    assert pixels(encoded(picture, kind)).tolist() == [[list(WHITE), list(BLACK), list(WHITE)]]


def test_eight_bit_grey_is_copied_to_three_channels():
    picture = Image.fromarray(np.array([[0, 7, 255]], np.uint8))
    assert pixels(encoded(picture, "PNG")).tolist() == [[[0, 0, 0], [7, 7, 7], [255, 255, 255]]]


def test_grey_with_alpha_lies_on_white():
    picture = Image.fromarray(np.array([[[0, 0], [0, 255], [0, 128]]], np.uint8))
    assert picture.mode == "LA"
    assert pixels(encoded(picture, "PNG")).tolist() == [[[255] * 3, [0] * 3, [127] * 3]]


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})])
def test_color_with_alpha_lies_on_white(kind, options):
    picture = Image.fromarray(np.array([[[255, 0, 0, 0], [255, 0, 0, 255], [255, 0, 0, 128]]], np.uint8))
    assert pixels(encoded(picture, kind, **options)).tolist() == [[[255, 255, 255], [255, 0, 0], [255, 127, 127]]]


@pytest.mark.parametrize("transparency", [b"\x00\xff", 0])
def test_a_transparent_palette_entry_is_white(transparency):
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *GREEN])
    picture.putpixel((1, 0), 1)
    assert pixels(encoded(picture, "PNG", transparency=transparency)).tolist() == [[list(WHITE), list(GREEN)]]


@pytest.mark.parametrize(
    ("values", "transparency", "seen"),
    [
        (np.array([[5, 9]], np.uint8), 5, [[WHITE, (9, 9, 9)]]),
        (np.array([[RED, BLUE]], np.uint8), RED, [[WHITE, BLUE]]),
        (np.array([[257 * 5, 257 * 9]], np.uint16), 257 * 5, [[WHITE, (9, 9, 9)]]),
        (np.array([[0, 257 * 9]], np.uint16), 0, [[WHITE, (9, 9, 9)]]),
    ],
)
def test_a_color_declared_transparent_is_white(values, transparency, seen):
    data = encoded(Image.fromarray(values), "PNG", transparency=transparency)
    assert pixels(data).tolist() == np.array(seen).tolist()


def test_a_transparent_gif_is_white_where_nothing_is():
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *GREEN])
    picture.putpixel((1, 0), 1)
    assert pixels(encoded(picture, "GIF", transparency=0)).tolist() == [[list(WHITE), list(GREEN)]]


def test_sixteen_bit_grey_is_scaled_and_rounded_not_cut():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(values / 65535 * 255).astype(np.uint8)
    for data in (
        encoded(Image.fromarray(values), "PNG"),
        tiff(values[..., None], order="<"),
        tiff(values[..., None], order=">"),
    ):
        assert np.array_equal(pixels(data), np.stack([expected] * 3, axis=-1))


def sixteen_bit_png(values: np.ndarray) -> bytes:
    """Write what Pillow cannot: RGB with sixteen bits a channel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_sixteen_bit_color_keeps_its_high_byte():
    values = np.array([[[0, 257 * 100, 65535], [256 * 3 + 255, 1, 300]]], np.uint16)
    expected = [[[0, 100, 255], [3, 0, 1]]]
    assert pixels(sixteen_bit_png(values)).tolist() == expected
    assert pixels(tiff(values, photometric=2, order="<")).tolist() == expected
    assert pixels(tiff(values, photometric=2, order=">")).tolist() == expected


@pytest.mark.parametrize("order", ["<", ">"])
def test_float_grey_runs_from_zero_to_one(order):
    values = np.array([[[0.0], [0.5], [1.0]]], np.float32)
    assert pixels(tiff(values, sample_format=3, order=order))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [-0.1, 1.5, 255.0, float("nan"), float("inf")])
def test_float_grey_outside_zero_to_one_is_refused(value):
    with pytest.raises(ImageError, match=r"picture holds float values outside \[0, 1\]"):
        decode(tiff(np.array([[[0.5], [value]]], np.float32), sample_format=3), "picture")


@pytest.mark.parametrize(("dtype", "sample_format"), [(np.int16, 2), (np.int32, 2), (np.uint32, 1)])
def test_integers_of_unstated_white_are_refused(dtype, sample_format):
    with pytest.raises(ImageError, match="picture holds 32-bit or signed integers"):
        decode(tiff(np.ones((2, 2, 1), dtype), sample_format=sample_format), "picture")


def test_zero_as_white_is_seen_at_eight_bits_and_refused_at_sixteen():
    assert pixels(tiff(np.array([[[0], [200]]], np.uint8), photometric=0))[0, :, 0].tolist() == [255, 55]
    with pytest.raises(ImageError, match="zero as white"):
        decode(tiff(np.array([[[0], [200]]], np.uint16), photometric=0), "picture")


INKS = np.array([[[255, 0, 0, 0], [0, 255, 0, 0], [0, 0, 0, 255], [0, 0, 0, 0]]], np.uint8)
SEEN = [[[0, 255, 255], [255, 0, 255], [0, 0, 0], [255, 255, 255]]]


def test_inks_take_light_away():
    assert pixels(encoded(Image.fromarray(INKS, "CMYK"), "TIFF")).tolist() == SEEN


def test_inverted_inks_of_adobe_jpegs_are_turned_back():
    data = encoded(Image.fromarray(INKS.repeat(8, axis=0).repeat(8, axis=1), "CMYK"), "JPEG", quality=100)
    assert b"Adobe" in data
    seen = pixels(data)[4, 4::8].astype(int)
    assert np.abs(seen - np.array(SEEN[0])).max() <= 3


def red_inks_profile() -> bytes:
    """Build an ICC profile of a printer whose cyan, magenta and yellow are all red: a table from CMYK to Lab."""
    white, red, black = bytes([255, 128, 128]), bytes([138, 209, 198]), bytes([0, 128, 128])  # red is 54, 81, 70
    corners = b"".join(black if inks & 1 else red if inks else white for inks in range(16))  # the last bit is black ink
    ramp = bytes(range(256))
    one = 65536
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, one)
    table += ramp * 4 + corners + ramp * 3
    start = 128 + 4 + 12
    header = (
        struct.pack(">I4sI", start + len(table), b"", 0x02100000) + b"prtrCMYKLab " + bytes(12) + b"acsp" + bytes(28)
    )
    header += struct.pack(">3i", round(0.9642 * one), one, round(0.8249 * one))
    return header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", start, len(table)) + table


def test_a_profile_says_how_inks_look():
    picture = Image.fromarray(INKS, "CMYK")
    seen = pixels(encoded(picture, "TIFF", icc_profile=red_inks_profile())).astype(int)
    assert np.abs(seen - [[RED, RED, BLACK, WHITE]]).max() <= 3


def test_a_broken_or_foreign_profile_is_passed_over():
    screen = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (b"rubbish", screen):
        data = encoded(Image.fromarray(INKS, "CMYK"), "TIFF", icc_profile=profile)
        assert pixels(data).tolist() == SEEN


def test_lab_is_converted():
    lightness, neutral = Image.new("L", (1, 1), 255), Image.new("L", (1, 1), 128)
    white = Image.merge("LAB", [lightness, neutral, neutral])
    assert pixels(encoded(white, "TIFF")).min() >= 254


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})])
def test_the_first_frame_is_taken(kind, options):
    frames = [Image.new("RGB", (4, 3), color) for color in (RED, GREEN, BLUE)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert pixels(data).tolist() == [[list(RED)] * 4] * 3


UPRIGHT = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
STORED = {  # what a camera stores, so that turning it as the tag says gives UPRIGHT
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: np.rot90(UPRIGHT, 1),
    7: UPRIGHT[::-1, ::-1].T,
    8: np.rot90(UPRIGHT, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_orientation_is_applied(orientation, kind, options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    assert np.array_equal(pixels(encoded(picture, kind, exif=exif, **options))[..., 0], UPRIGHT)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_jpegs_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation].repeat(8, axis=0).repeat(8, axis=1))
    seen = pixels(encoded(Image.fromarray(stored), "JPEG", quality=100, exif=exif))[4::8, 4::8, 0]
    assert np.abs(seen.astype(int) - UPRIGHT).max() <= 2


@pytest.mark.filterwarnings("ignore")  # Pillow's, about the garbage
@pytest.mark.parametrize(
    "exif", [b"garbage", b"Exif\0\0MM\0*", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12", b"Exif\0\0"]
)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_garbled_metadata_does_not_cost_the_picture(exif, kind):
    assert pixels(encoded(Image.new("RGB", (8, 8), WHITE), kind, exif=exif)).min() == 255


def rubbish() -> dict[str, bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    whole = {kind: encoded(Image.fromarray(noise), kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")}
    cut = {
        f"{kind}-cut-at-{part}": data[: int(len(data) * part)]
        for kind, data in whole.items()
        for part in (0.1, 0.5, 0.9)
    }
    heads = {f"{kind}-head": data[:12] for kind, data in whole.items()}
    flipped = bytearray(whole["PNG"])
    flipped[len(flipped) // 2] ^= 255
    others = {
        "text": b"This is not a picture.\n",
        "html": b"<!doctype html><html>404</html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "zeros": bytes(1000),
        "ppm": b"P6 1 1 255 abc",
        "png-flipped": bytes(flipped),
        "float64": tiff(np.ones((2, 2, 1)), sample_format=3),
    }
    return cut | heads | others


@pytest.mark.filterwarnings("ignore")  # Pillow's, about truncated metadata
@pytest.mark.parametrize("case", rubbish())
def test_rubbish_is_one_line_that_names_the_file(case, tmp_path):
    (tmp_path / "x.png").write_bytes(rubbish()[case])
    with pytest.raises(ImageError) as caught:
        decode(read_bytes(tmp_path / "x.png"), "cat/x.png")
    assert caught.value.message.startswith("cat/x.png ")
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 3


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damage_anywhere_gives_a_picture_or_an_image_error(data):
    whole = data.draw(st.sampled_from(sorted(rubbish())))
    damaged = bytearray(rubbish()[whole])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        mode, message = decode(bytes(damaged), "x").mode, ""
    except ImageError as error:
        mode, message = "RGB", error.message
    assert mode == "RGB"
    assert "\n" not in message


@cache
def photographs() -> dict[str, bytes]:
    """A cutting of a real photograph in the formats that people have, each with room for damage in every part."""
    picture = Image.fromarray(astronaut()[:96, 180:276])
    kinds = {"PNG": {}, "JPEG": {"quality": 90}, "JPEG progressive": {"progressive": True}, "GIF": {}, "WEBP": {}}
    return {kind: encoded(picture, kind.split()[0], **options) for kind, options in kinds.items()}


def seen_or_refused(data: bytes) -> np.ndarray | None:
    """Decode a file; none where it is refused, in one line."""
    message = ""
    try:
        return pixels(data)
    except ImageError as error:
        message = error.message
    assert "\n" not in message
    return None


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_photograph_cut_short_anywhere_is_the_whole_picture_or_an_error(data):
    whole = photographs()[data.draw(st.sampled_from(sorted(photographs())))]
    length = data.draw(st.one_of(st.integers(0, len(whole) - 1), st.integers(len(whole) - 40, len(whole) - 1)))
    seen = seen_or_refused(whole[:length])
    assert seen is None or np.array_equal(seen, pixels(whole))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_photograph_with_flipped_bits_is_a_picture_or_an_error_and_a_png_the_right_one(data):
    kind = data.draw(st.sampled_from(sorted(photographs())))
    damaged = bytearray(photographs()[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    seen = seen_or_refused(bytes(damaged))
    if kind == "PNG":  # which alone has checksums
        assert seen is None or np.array_equal(seen, pixels(photographs()[kind]))


def test_damage_at_the_very_end_of_a_png_is_noticed():
    whole = photographs()["PNG"]
    for place in range(len(whole) - 100, len(whole) - 12):  # before IEND
        damaged = bytearray(whole)
        damaged[place] ^= 4
        assert seen_or_refused(bytes(damaged)) is None
    assert np.array_equal(pixels(whole + b"and more"), pixels(whole))


def test_an_error_about_a_strange_name_stays_on_one_line():
    with pytest.raises(ImageError) as caught:
        decode(b"text", "two\nlines\udcff.png")
    assert caught.value.message == r"'two\nlines\udcff.png' is not a JPEG, PNG, WebP, BMP, TIFF or GIF picture"


def test_a_file_of_zero_bytes_is_named_empty(tmp_path):
    (tmp_path / "x.png").touch()
    with pytest.raises(ImageError, match=r"x\.png is empty \(0 bytes\)$"):
        read_bytes(tmp_path / "x.png")


def test_a_missing_file_a_folder_and_a_forbidden_file_say_why(tmp_path, monkeypatch):
    with pytest.raises(ImageError, match=r"cannot read .*x\.png: No such file or directory$"):
        read_bytes(tmp_path / "x.png")
    with pytest.raises(ImageError, match=r"cannot read .*: Is a directory$"):
        read_bytes(tmp_path)

    def forbidden(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", forbidden)  # chmod forbids nothing to root
    with pytest.raises(ImageError, match=r"cannot read .*x\.png: Permission denied$"):
        read_bytes(tmp_path / "x.png")


@pytest.mark.parametrize("side", [10_000, 60_000])  # above Pillow's warning, and above its error
def test_a_decompression_bomb_is_refused_before_it_unfolds(side):
    header = encoded(Image.new("1", (8, 8)), "PNG")
    size = struct.pack(">II", side, side)
    body = b"IHDR" + size + header[24:29]
    bomb = header[:12] + body + struct.pack(">I", zlib.crc32(body)) + header[33:]
    with pytest.raises(ImageError, match=r"^x\.png would unfold to ") as caught:
        decode(bomb, "x.png")
    assert "\n" not in caught.value.message


def test_a_picture_of_the_right_size_is_taken_as_it_is():
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    fitted = fit(Image.fromarray(values), (5, 7), 99, "bilinear")
    assert np.array_equal(fitted, values.transpose(2, 0, 1))
    assert fitted.dtype == np.uint8
    assert fitted.flags.c_contiguous
    assert fitted.flags.owndata
    assert fitted.flags.writeable


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    crop=st.tuples(st.integers(1, 32), st.integers(1, 32)),
    slack=st.integers(0, 9),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic"]),
)
def test_resize_and_crop_are_torchvisions_to_the_last_bit(width, height, crop, slack, interpolation):
    values = np.random.default_rng(width * 100 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = Image.fromarray(values)
    resize = max(crop) + slack
    fitted = fit(picture, crop, resize, interpolation)
    assert fitted.shape == (3, *crop)
    if picture.size != (crop[1], crop[0]):
        mode = transforms.InterpolationMode(interpolation)
        peer = transforms.Compose([transforms.Resize(resize, interpolation=mode), transforms.CenterCrop(crop)])
        assert np.array_equal(fitted, np.asarray(peer(picture)).transpose(2, 0, 1))


def test_a_crop_larger_than_the_resize_is_our_own_mistake():
    with pytest.raises(ContractError, match="resized to 20 pixels has no room for a crop of 16 x 32"):
        fit(Image.new("RGB", (50, 50)), (16, 32), 20, "bilinear")


def test_a_picture_too_narrow_to_resize_is_refused():
    with pytest.raises(ImageError, match="a picture of 60000 x 1 pixels would unfold to 256 x 15360000 pixels"):
        fit(Image.new("RGB", (60_000, 1)), (224, 224), 256, "bilinear")


def test_a_pipe_is_read_and_one_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_PATIENCE", 0.3)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match=r"gave nothing for 0\.3 s"):
        reading.read_bytes(tmp_path / "pipe.png")
    keeper = os.open(tmp_path / "pipe.png", os.O_RDWR)
    os.write(keeper, b"some bytes")
    threading.Timer(0.1, os.close, [keeper]).start()
    assert reading.read_bytes(tmp_path / "pipe.png") == b"some bytes"


def test_a_file_too_long_for_a_picture_is_not_read(tmp_path):
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(40 * 2**30)
    with pytest.raises(ImageError, match="too large"):
        reading.read_bytes(tmp_path / "sparse.png")
