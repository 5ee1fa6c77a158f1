"""One picture file, whatever its format, orientation, depth or colors, to eight-bit RGB and to a network's size."""

import contextlib
import io
import os
import select
import stat
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from advcli.errors import ContractError, ImageError
from advcli.images.sources import printable

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF8": "GIF",
}
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
LARGEST_FILE = 2**31  # bytes; a picture that is read whole, and no more pixels than Pillow allows, is never longer
_PATIENCE = 5.0  # seconds without a byte from a pipe, after which it is given up
_CHUNK = 1 << 20
_PHOTOMETRIC = 262  # TIFF tag; 0 means that the value zero is white
Image.init()  # Pillow registers its formats on first use, which two threads at once do not survive


def read_bytes(path: Path) -> bytes:
    """Read a file whole.

    Raises:
        ImageError: the file cannot be read, is empty, or is longer than ``LARGEST_FILE``; a pipe gives nothing for
            some seconds.
    """
    name = printable(str(path))
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not block the run for ever
        with os.fdopen(handle, "rb", buffering=0) as file:
            found = os.fstat(handle)
            if found.st_size > LARGEST_FILE:
                raise ImageError(f"{name} is too large for a picture ({found.st_size} bytes)")
            data = file.readall() if stat.S_ISREG(found.st_mode) else _read_pipe(handle, name)
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from error
    if not data:
        raise ImageError(f"{name} is empty (0 bytes)")
    return data


def _read_pipe(handle: int, name: str) -> bytes:
    """Read a pipe or device to its end, which a writer that hangs must not delay for ever."""
    data = bytearray()
    last = time.monotonic()
    while len(data) <= LARGEST_FILE:
        ready, _, _ = select.select([handle], [], [], 0.2)
        if ready:
            part = os.read(handle, _CHUNK)
            if not part:
                return bytes(data)
            data += part
            last = time.monotonic()
        elif time.monotonic() - last > _PATIENCE:
            raise ImageError(f"{name} is a pipe that gave nothing for {_PATIENCE:g} s")
    raise ImageError(f"{name} is too large for a picture (more than {LARGEST_FILE} bytes)")


def decode(data: bytes, name: str) -> Image.Image:
    """Turn the bytes of a picture file into RGB as a person sees it.

    A color profile is followed where the picture is CMYK, whose inks mean nothing without it. That of an RGB picture
    is not: networks are trained on the bare numbers.

    Args:
        data: the file's bytes; the format is recognized by them, never by the name.
        name: what to call the file in an error.

    Returns:
        The first frame as eight-bit RGB, turned as its EXIF orientation says, transparency laid on white, sixteen-bit
        values scaled to eight (grey is rounded, color loses its low byte), floats taken to run from 0 to 1.

    Raises:
        ImageError: the bytes are no picture, are damaged, unfold to an absurd number of pixels, or hold values whose
            white nobody states (32-bit or signed integers, floats outside [0, 1]).
    """
    name = printable(name)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _refuse_bomb(picture.size, name)
            if picture.format == "PNG":
                _refuse_wrong_checksums(data, name)
            picture.seek(0)
            picture.load()
            _turn_upright(picture)
            return _to_rgb(picture, name)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(_unidentified(data, name)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name} would unfold to too many pixels: {error}") from error
    except Exception as error:  # Pillow's decoders raise whatever they trip over: OSError, SyntaxError, struct.error...
        raise ImageError(f"{name} is damaged: {' '.join(str(error).split()) or type(error).__name__}") from error


def fit(picture: Image.Image, size: tuple[int, int], resize: int, interpolation: str) -> np.ndarray:
    """Bring a picture to the size that a network reads.

    A picture that already has ``size`` is taken as it is, so that an adversarial PNG, read again, gives the very
    pixels that were attacked. Any other is resized and cropped as torchvision's ``Resize(resize)`` and
    ``CenterCrop(size)`` do with a PIL picture, to the last bit.

    Args:
        picture: eight-bit RGB.
        size: (height, width) to reach, in pixels.
        resize: what the shorter side becomes before the center crop, in pixels; at least each side of ``size``.
        interpolation: ``nearest``, ``bilinear`` or ``bicubic``; the last two with antialiasing.

    Returns:
        uint8 (3, H, W), contiguous and the caller's own.

    Raises:
        ImageError: the picture is so long and narrow that it would unfold to an absurd number of pixels.
        ContractError: ``resize`` is smaller than the crop.
    """
    height, width = size
    if picture.size != (width, height):
        if resize < max(size):
            raise ContractError(f"a picture resized to {resize} pixels has no room for a crop of {height} x {width}")
        picture = _crop(_shorten(picture, resize, interpolation), size)
    return np.array(np.asarray(picture).transpose(2, 0, 1), order="C")  # (H, W, 3) -> (3, H, W)


def _shorten(picture: Image.Image, resize: int, interpolation: str) -> Image.Image:
    """Make the shorter side ``resize`` pixels long; the longer is rounded down, as torchvision does."""
    height, width = shortened_size((picture.height, picture.width), resize)
    if (width, height) == picture.size:
        return picture
    _refuse_bomb((resize, max(height, width)), f"a picture of {picture.width} x {picture.height} pixels")
    return picture.resize((width, height), _FILTERS[interpolation])


def shortened_size(size: tuple[int, int], resize: int) -> tuple[int, int]:
    """Say how large a picture is once its shorter side has ``resize`` pixels; the longer is rounded down.

    Args:
        size: (height, width) of the picture.
        resize: of the shorter side.
    """
    short, long = sorted(size)
    longer = long if short == resize else int(resize * long / short)
    return (resize, longer) if size[1] > size[0] else (longer, resize)


def _crop(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Cut the middle out; a half pixel goes to the even side, as torchvision does."""
    height, width = size
    top, left = round((picture.height - height) / 2), round((picture.width - width) / 2)
    return picture.crop((left, top, left + width, top + height))


def _unidentified(data: bytes, name: str) -> str:
    for signature, kind in _SIGNATURES.items():
        if data.startswith(signature):
            return f"{name} begins like a {kind} picture, but is damaged or of a kind that Pillow cannot read"
    return f"{name} is not a JPEG, PNG, WebP, BMP, TIFF or GIF picture"


def _refuse_bomb(size: tuple[int, int], name: str) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and size[0] * size[1] > limit:
        raise ImageError(f"{name} would unfold to {size[0]} x {size[1]} pixels, more than {limit}")


def _refuse_wrong_checksums(data: bytes, name: str) -> None:
    """Check every IDAT chunk of a PNG: Pillow stops at the last pixel, before the last chunk's checksum.

    Source: W3C, PNG specification, third edition, https://www.w3.org/TR/png-3/, section 5.3.
    """
    view, place = memoryview(data), 8  # behind the signature
    while place < len(data):
        end = place + 8 + int.from_bytes(view[place : place + 4])  # a chunk: length, kind, contents, checksum
        kind = data[place + 4 : place + 8]
        if kind == b"IDAT" and zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise ImageError(f"{name} is damaged: the checksum of its pixels is wrong")
        place = len(data) if kind == b"IEND" else end + 4  # what follows the end is no part of the picture


def _turn_upright(picture: Image.Image) -> None:
    with contextlib.suppress(Exception):  # a picture with garbled metadata is shown by every viewer, as it lies
        ImageOps.exif_transpose(picture, in_place=True)


def _to_rgb(picture: Image.Image, name: str) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _to_eight_bits(picture, name)
    elif picture.mode == "CMYK" and "icc_profile" in picture.info:
        picture = _print_to_screen(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def _print_to_screen(picture: Image.Image) -> Image.Image:
    """Follow the profile of a CMYK picture; one that is broken or not for CMYK is passed over, as viewers do."""
    try:
        inks = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        seen = ImageCms.profileToProfile(picture, inks, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return picture
    return picture if seen is None else seen


def _to_eight_bits(picture: Image.Image, name: str) -> Image.Image:
    """Scale sixteen-bit or float grey to eight bits; Pillow's own conversion cuts everything above 255 to white."""
    values = np.asarray(picture)
    if picture.mode == "F":
        low, high = values.min(initial=0.0), values.max(initial=1.0)
        if not (low >= 0 and high <= 1):  # true of NaN as well
            raise ImageError(
                f"{name} holds float values outside [0, 1]", "scale it so that white is 1, or to 8 or 16 bits"
            )
        grey = np.rint(values * 255)
    else:
        _refuse_unstated_white(picture, name)
        grey = (values.astype(np.uint32) + 128) // 257  # 65535 = 255 * 257: rounds v / 65535 * 255, exactly
    alpha = np.where(values == picture.info.get("transparency", -1), 0, 255)  # a sixteen-bit PNG names one value
    return Image.fromarray(np.stack([grey, alpha], axis=-1).astype(np.uint8))


def _refuse_unstated_white(picture: Image.Image, name: str) -> None:
    if picture.mode == "I" and picture.format != "PNG":
        raise ImageError(f"{name} holds 32-bit or signed integers, of unstated white", "save it with 8 or 16 bits")
    if getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC) == 0:  # Pillow leaves these inverted, at sixteen bits only
        raise ImageError(f"{name} holds sixteen bits with zero as white", "save it with zero as black, or with 8 bits")
