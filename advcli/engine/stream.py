"""The one loop over images that all image commands share.

    discover -> skip what is done -> decode (threads) -> batch -> work -> pictures and records -> write (threads)

While one batch is worked on, the next is decoded and the one before is written. A record is appended to the ledger
only when its pictures are on disk. Memory does not grow with the number of images.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from advcli.core.results import Record
from advcli.errors import ImageError
from advcli.images.labels import Labels, label_for
from advcli.images.reading import decode, fit, read_bytes
from advcli.images.sources import Source
from advcli.images.writing import output_path, png_bytes, write_atomically
from advcli.models.card import Preprocessing
from advcli.models.classes import match
from advcli.reports.ledger import Ledger

_WRITERS = 2


@dataclass(frozen=True)
class Image:
    """One input, read.

    Args:
        source: where it came from.
        sha256: of the file's bytes.
        size: (width, height) of the picture in the file.
        pixels: uint8 (3, H, W) at the classifier's input size.
        label: class it is held against; none where nothing says so.
        label_source: where the label came from: ``folder``, ``file``, ``record``, or ``predicted`` (still to do).
    """

    source: Source
    sha256: str
    size: tuple[int, int]
    pixels: np.ndarray
    label: int | None
    label_source: str


Drawing = Callable[[], np.ndarray | bytes]


@dataclass(frozen=True)
class Product:
    """What a command makes of one image.

    Args:
        record: what is known now; the stream adds where the pictures are.
        pictures: what comes behind the image's name (``adversarial.png``) to what draws it, uint8 (H, W, 3) or the
            bytes of a file; drawn by the threads that write.
    """

    record: Record
    pictures: Mapping[str, Drawing] = field(default_factory=dict)


class Work(Protocol):
    """Settings in, one ``Product`` per record out; small and picklable, loads its model on the first call."""

    @property
    def per_image(self) -> int:
        """Records that every image gets."""
        ...

    def __call__(self, images: Sequence[Image]) -> list[Product]:
        """Work on some images; products stand in the order of the images, those of one image together."""
        ...

    def refuse(self, source: Source, reason: str, sha256: str | None) -> Record:
        """Make the record of an image that cannot be used."""
        ...


@dataclass(frozen=True)
class Reader:
    """Turns a source into an image; picklable.

    Args:
        preprocessing: of the classifier.
        classes: its class names.
        labels: where labels come from.
    """

    preprocessing: Preprocessing
    classes: tuple[str, ...]
    labels: Labels

    def __call__(self, source: Source) -> "Image | Refused":
        """Read, decode and fit one picture; what is wrong with it is an answer, not an exception."""
        digest = None
        how = self.preprocessing
        try:
            data = read_bytes(source.location)
            digest = hashlib.sha256(data).hexdigest()
            picture = decode(data, source.path)
            label, label_source = label_for(self.labels, source, lambda word: match(word, self.classes))
            pixels = fit(picture, how.size, how.resize, how.interpolation)
        except ImageError as error:
            return Refused(source, error.message, digest)
        return Image(source, digest, picture.size, pixels, label, label_source)


@dataclass(frozen=True)
class Refused:
    """An input that cannot be used, and why."""

    source: Source
    reason: str
    sha256: str | None


def stream(
    sources: Iterable[Source],
    reader: Reader,
    work: Work,
    ledger: Ledger,
    folder: Path,
    *,
    batch: int,
    each: Callable[[Record], None],
) -> None:
    """Take images through the work, and its products to the disk, in the order of the sources.

    Args:
        sources: what is to do.
        reader: see ``Reader``.
        work: see ``Work``.
        ledger: takes the records.
        folder: of the run; pictures go below ``images/``.
        batch: images that the work gets at a time.
        each: called with every record after it is in the ledger.

    Raises:
        UsageError: a picture cannot be written.
    """
    writing: list[Future[list[Record]]] = []

    def settle() -> None:
        """Wait for the pictures of the batch before, then say that its images are done."""
        records = [record for future in writing for record in future.result()]
        writing.clear()  # before the ledger knows: an interruption here costs work, never a record twice
        ledger.append(records)
        for record in records:
            each(record)

    readers, writers = ThreadPoolExecutor(), ThreadPoolExecutor(_WRITERS)
    try:
        for group in _batches(_ahead(readers, reader, sources, 2 * batch), batch):
            products = _worked(work, group)
            settle()
            writing += [writers.submit(_written, folder, one) for one in products]
    finally:  # an interruption keeps what is finished
        readers.shutdown(wait=False, cancel_futures=True)
        settle()
        writers.shutdown()


def _worked(work: Work, group: Sequence[Image | Refused]) -> list[list[Product]]:
    """Work on the readable images of a batch; give the products of each image, in the order of the batch."""
    images = [image for image in group if isinstance(image, Image)]
    products = deque(work(images) if images else [])
    answers = []
    for image in group:
        if isinstance(image, Image):
            answers.append([products.popleft() for _ in range(work.per_image)])
        else:
            answers.append([Product(work.refuse(image.source, image.reason, image.sha256))])
    return answers


def _written(folder: Path, products: Sequence[Product]) -> list[Record]:
    """Draw and write the pictures of one image; give its records, which now say where they are."""
    records = []
    there: set[Path] = set()  # pictures that several records of the image share are drawn once
    for product in products:
        files = {}
        for name, draw in product.pictures.items():
            kind, _, suffix = name.rpartition(".")
            path = output_path(folder, product.record.path, kind).with_suffix(f".{suffix}")
            if path not in there:
                _write(path, draw())
                there.add(path)
            files[name.removesuffix(".png")] = path.relative_to(folder).as_posix()
        records.append(product.record.model_copy(update={"files": files}))
    return records


def _write(path: Path, drawn: np.ndarray | bytes) -> None:
    write_atomically(path, drawn if isinstance(drawn, bytes) else png_bytes(drawn))


def _ahead(pool: ThreadPoolExecutor, read: Reader, sources: Iterable[Source], most: int) -> Iterator[Image | Refused]:
    """Read sources in threads, in order, never more than ``most`` ahead of what is taken."""
    waiting: deque[Future[Image | Refused]] = deque()
    for source in sources:
        waiting.append(pool.submit(read, source))
        if len(waiting) > most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _batches(items: Iterator[Image | Refused], size: int) -> Iterator[list[Image | Refused]]:
    while group := list(islice(items, size)):
        yield group
