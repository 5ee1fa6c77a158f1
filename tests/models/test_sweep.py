"""Many versions of every image: each seen once, in order, in shapes that do not depend on the company."""

import pytest
import torch
from torch import nn

from advcli.core.scores import Target
from advcli.errors import ContractError


class Watchful(nn.Module):
    """Remembers how many rows it was shown at once."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, pixels):
        self.seen.append(len(pixels))
        value = pixels.square().mean((1, 2, 3))
        return torch.stack([value, 0 * value], 1)


def scaled(pixels, count):
    return lambda rows, indices: pixels[rows] * ((1 + indices) / count).view(-1, 1, 1, 1)


def pictures(count):
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("block", [1, 3, 16, 20])
@pytest.mark.parametrize(("images", "count"), [(1, 1), (1, 50), (5, 7), (3, 8), (40, 3), (2, 9)])
def test_every_version_comes_once_and_in_order(wrap, block, images, count):
    pixels = pictures(images)
    classifier = wrap(Watchful(), block=block)
    seen = [[] for _ in range(images)]
    for part in classifier.sweep(pixels, count, scaled(pixels, count)):
        assert len(part.logits) == len(part.rows) == len(part.indices)
        expected = scaled(pixels, count)(part.rows, part.indices).square().mean((1, 2, 3))
        assert torch.allclose(part.logits[:, 0], expected)
        for row, index in zip(part.rows.tolist(), part.indices.tolist(), strict=True):
            seen[row].append(index)
    assert seen == [list(range(count))] * images


def test_with_block_1_the_images_go_one_by_one_in_near_equal_parts(wrap):
    network = Watchful()
    classifier = wrap(network, block=1)
    network.seen.clear()
    for part in classifier.sweep(pictures(2), 50, scaled(pictures(2), 50)):
        part.logits  # noqa: B018  reading it is the pass
    assert network.seen == [8, 7, 7, 7, 7, 7, 7] * 2


def test_elsewhere_versions_of_all_images_fill_the_blocks(wrap):
    network = Watchful()
    classifier = wrap(network)
    network.seen.clear()
    for part in classifier.sweep(pictures(5), 9, scaled(pictures(5), 9)):
        part.logits  # noqa: B018
    assert network.seen == [45]  # and not 9 blocks of 16 rows, of which 11 repeat the others


@pytest.mark.parametrize("block", [1, 4, 16])
@pytest.mark.parametrize("count", [1, 5, 18])
def test_a_sum_over_the_versions_is_the_same_to_the_bit_in_any_batch(trained, wrap, block, count):
    classifier = wrap(trained.network, classes=5, size=16, block=block)
    images = trained.images[:9]

    def total(pixels, labels):
        sums, target = torch.zeros(len(pixels), 3, 16, 16, dtype=torch.float64), Target(labels, "prob")
        for part in classifier.sweep(pixels, count, scaled(pixels, count)):
            part.add_to(sums, part.gradient(target[part.rows].cotangent(part.logits)))
        return sums

    together = total(images, trained.labels[:9])
    assert together.flatten(1).any(1).all()
    for places in ([4], [8, 1, 2]):
        assert torch.equal(total(images[places], trained.labels[places]), together[places])


def test_pixels_may_leave_their_range_where_that_is_said(wrap):
    classifier = wrap(Watchful())
    outside = lambda rows, indices: pictures(1)[rows] + 7.0  # noqa: E731
    refused = next(classifier.sweep(pictures(1), 1, outside))
    with pytest.raises(ContractError, match="7"):
        refused.logits  # noqa: B018
    assert float(next(classifier.sweep(pictures(1), 1, outside, bounded=False)).logits[0, 0]) > 49


def test_without_a_graph_there_are_logits_and_no_gradient(wrap):
    classifier = wrap(Watchful())
    for part in classifier.sweep(pictures(2), 3, scaled(pictures(2), 3), graph=False):
        assert not part.logits.requires_grad
        with pytest.raises(RuntimeError):
            part.gradient(torch.ones(6, 2))


def test_a_part_is_freed_when_the_next_one_is_asked_for(wrap):
    classifier = wrap(Watchful(), block=1)
    parts = []
    for part in classifier.sweep(pictures(3), 20, scaled(pictures(3), 20)):
        part.logits  # noqa: B018
        parts.append(part)
        assert sum("_looked" in one.__dict__ for one in parts) == 1
