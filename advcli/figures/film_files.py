"""Films as files: frames encoded as WebP, GIF, APNG or MP4."""

import io
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from advcli.errors import UsageError

FilmFormat = Literal["webp", "gif", "apng", "mp4"]
FORMATS: tuple[str, ...] = get_args(FilmFormat)
Frame = NDArray[np.uint8]
_MILLISECONDS = 200  # of a frame
_LAST = 5  # times as long as the others


def encode(frames: Iterable[Frame], file_format: str) -> bytes:
    """Encode frames as one film.

    Args:
        frames: pixels (H, W, 3) of one size, H and W even.
        file_format: one of ``FORMATS``. WebP and APNG lose nothing, GIF keeps 256 colors, MP4 is lossy.

    Raises:
        UsageError: MP4 is wanted, and imageio-ffmpeg is not installed, or fails.
    """
    if file_format == "mp4":
        return _mp4(frames)
    pictures = [Image.fromarray(frame) for frame in frames]
    durations = [_MILLISECONDS] * (len(pictures) - 1) + [_LAST * _MILLISECONDS]
    options: dict[str, object] = {"save_all": True, "append_images": pictures[1:], "duration": durations, "loop": 0}
    if file_format == "webp":
        options |= {"lossless": True, "quality": 30, "method": 3}
    buffer = io.BytesIO()
    pictures[0].save(buffer, "PNG" if file_format == "apng" else file_format.upper(), **options)
    return buffer.getvalue()


def suffix(file_format: str) -> str:
    """Give the ending of a film's file: an APNG is a PNG to whoever opens it."""
    return "png" if file_format == "apng" else file_format


def require(file_format: str) -> None:
    """Refuse a format that cannot be written here, before anything is analyzed.

    Raises:
        UsageError: there is no such format, or its package is not installed.
    """
    if file_format not in FORMATS:
        raise UsageError(f"--film {file_format!r} is no format", f"use one of {', '.join(FORMATS)}")
    if file_format == "mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError:
            raise UsageError(
                "--film mp4 needs imageio-ffmpeg", "pip install 'advcli[video]', or take webp, gif or apng"
            ) from None


def _mp4(frames: Iterable[Frame]) -> bytes:
    require("mp4")
    import imageio_ffmpeg

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        rest = iter(frames)
        first = next(rest)
        height, width = first.shape[:2]
        try:
            writer = imageio_ffmpeg.write_frames(
                path, (width, height), fps=1000 / _MILLISECONDS, macro_block_size=2, ffmpeg_log_level="error", quality=8
            )
            writer.send(None)
            for frame in (first, *rest):
                writer.send(np.ascontiguousarray(frame))
            writer.close()
            data = path.read_bytes()
        except (OSError, RuntimeError) as error:
            raise UsageError(f"ffmpeg cannot write the film: {error}", "take --film webp") from error
    if not data:
        raise UsageError("ffmpeg wrote an empty film", "take --film webp")
    return data
