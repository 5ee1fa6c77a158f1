"""Many versions of every image through one classifier: interpolated, noisy, occluded or masked ones, in flat memory.

On a CPU a block of about eight photographs is faster than one alone or fifty at once (ResNet-18 at 224, gradients of 50
versions of one photograph on two cores: 2.90 s one by one, 2.21 s in blocks of 8), and as many such blocks as there are
cores, side by side, are faster than one after another.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from advcli.core.shapes import Integers, Pixels
from advcli.models.view import View

if TYPE_CHECKING:
    from advcli.models.classifier import Classifier

Make = Callable[[Integers, Integers], Pixels]
_Planned = tuple[Tensor, Tensor, list[int] | None]  # rows, indices and, where they are planned too, sizes of blocks
_TOGETHER = 8  # versions of one image that the network is shown at once where images go alone


class Part(View):
    """Some versions of some images, seen together.

    Attributes:
        rows: (M,) the image that each version is of.
        indices: (M,) which of the image's versions each is.
    """

    rows: Integers
    indices: Integers

    def runs(self) -> Iterator[tuple[slice, slice, int]]:
        """Take the part apart into runs of neighboring images at one index, to be added up in a fixed order.

        An image's versions come in ascending order of their index, whatever the part holds besides; so sums that are
        made run by run do not depend on the batch.

        Yields:
            The run's places in the part, the images it is of, and the index of their version.
        """
        rows, indices = self.rows.tolist(), self.indices.tolist()
        begin = 0
        for end in range(1, len(rows) + 1):
            if end == len(rows) or indices[end] != indices[begin]:
                yield slice(begin, end), slice(rows[begin], rows[end - 1] + 1), indices[begin]
                begin = end

    def add_to(self, total: Tensor, values: Tensor) -> None:
        """Add one value per version (M, ...) to one total per image (N, ...), in place and in a fixed order."""
        for here, rows, _ in self.runs():
            total[rows] += values[here]


def sweep(
    classifier: "Classifier",
    pixels: Pixels,
    count: int,
    make: Make,
    *,
    bounded: bool = True,
    graph: bool = True,
) -> Iterator[Part]:
    """Show the classifier ``count`` versions of every image.

    With block 1 the images go one by one, the versions of each in ceil(count / 8) near-equal blocks. Otherwise the
    versions of all images fill the network's blocks, the same version of all images before the next version. Either
    way a version's logits and gradients do not depend, to the bit, on which other images there are.

    Args:
        classifier: what looks.
        pixels: (N, 3, H, W), the images; only their number and device are read here.
        count: versions of each image.
        make: given rows (M,) and indices (M,), both int64, the versions (M, 3, H, W); it has to compute each version
            without regard to the others.
        bounded: refuse versions outside [0, 1].
        graph: keep what gradients need; without it only logits can be read, in less memory.

    Yields:
        Every version once, an image's in ascending order. A part can be read until the next one is asked for.
    """
    alone = classifier.block == 1
    plan = (_image_by_image if alone else _across_images)(classifier, len(pixels), count)
    for rows, indices, sizes in plan:
        rows, indices = rows.to(pixels.device), indices.to(pixels.device)
        part = Part(classifier, make(rows, indices), gradient=graph, graph=graph, bounded=bounded, sizes=sizes)
        part.rows, part.indices = rows, indices
        yield part
        part.close()  # before the next part is computed, although the caller's loop still holds this one


def _image_by_image(classifier: "Classifier", images: int, count: int) -> Iterator[_Planned]:
    blocks = torch.arange(count).tensor_split(-(-count // _TOGETHER))
    for row in range(images):
        lanes = classifier.lanes
        for start in range(0, len(blocks), lanes):
            together = blocks[start : start + lanes]
            indices = torch.cat(together)
            yield torch.full_like(indices, row), indices, [len(block) for block in together]


def _across_images(classifier: "Classifier", images: int, count: int) -> Iterator[_Planned]:
    total = images * count
    # As many parts as suit the network, but none smaller than a block where that can be.
    parts = max(1, min(-(-total // classifier.batch_size), total // classifier.block))
    for places in torch.arange(total).tensor_split(parts):
        yield places % images, places // images, None
