"""Balls round images: how large a perturbation is, how to come back inside, where to step, where to begin."""

import math
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from advcli.core.precision import wide
from advcli.core.quantities import Quantity
from advcli.core.radii import by_row, column, largest, shrunk, stretched
from advcli.core.randomness import RowNoise
from advcli.core.shapes import Floats, Pixels, Radii
from advcli.errors import UsageError

Norm = Literal["linf", "l2", "l1", "l0"]
HALF_LEVEL = 0.5 / 255  # a change of less is gone in an eight-bit picture, and l0 does not count it


@runtime_checkable
class Ball(Protocol):
    """The pixels within ``eps`` of an image and within [0, 1], in one norm.

    A radius, and the length of a step, is (N,), or (N, 3) for one in each channel; see ``core/radii.py``. l0 knows the
    first alone.
    """

    def size(self, delta: Pixels) -> Floats:
        """Length (N,) of each perturbation, in pixel units; for l0 the number of values that change."""
        ...

    def project(self, pixels: Pixels, images: Pixels, eps: Radii) -> Pixels:
        """Bring pixels into ball and [0, 1]; for linf, l1 and l0 to the nearest point of both."""
        ...

    def steepest(self, gradient: Pixels) -> Pixels:
        """Direction of length 1 along which the gradient rises most; zero where the gradient is zero."""
        ...

    def ascend(self, pixels: Pixels, gradient: Pixels, length: Radii) -> Pixels:
        """Walk from pixels in [0, 1] where the gradient rises most, ``length`` far.

        linf and l2 take the steepest direction, and may leave [0, 1]. For l1 and l0 [0, 1] is part of the question:
        the values with the largest gradient go to 0 or 1 until the length is used up, which is the highest point of a
        linear function within that length.
        """
        ...

    def sample(self, noise: RowNoise, images: Pixels, eps: Radii) -> Pixels:
        """Perturbations drawn uniformly from the ball, [0, 1] not heeded; l0 draws which values and how far each."""
        ...


class _Linf:
    def size(self, delta: Pixels) -> Floats:
        return delta.abs().flatten(1).amax(1)

    def project(self, pixels: Pixels, images: Pixels, eps: Radii) -> Pixels:
        radius = column(eps)
        return pixels.clamp(images - radius, images + radius).clamp(0, 1)

    def steepest(self, gradient: Pixels) -> Pixels:
        return gradient.sign()

    def ascend(self, pixels: Pixels, gradient: Pixels, length: Radii) -> Pixels:
        return pixels + gradient.sign() * column(length)

    def sample(self, noise: RowNoise, images: Pixels, eps: Radii) -> Pixels:
        return (noise.uniform(*images.shape[1:]) * 2 - 1) * column(eps)


class _L2:
    def size(self, delta: Pixels) -> Floats:
        return wide(delta.contiguous().flatten(1)).square().sum(1).sqrt().to(delta.dtype)

    def project(self, pixels: Pixels, images: Pixels, eps: Radii) -> Pixels:
        delta = pixels - images
        size, radius = self.size(stretched(delta, eps)), largest(eps)
        shrink = torch.where(size > radius, radius / size, 1.0).to(delta.dtype)
        return (images + delta * column(shrink)).clamp(0, 1)

    def steepest(self, gradient: Pixels) -> Pixels:
        # Scaled by the largest entry first: the square of a gradient of 1e-30 is zero even in float32's neighbors.
        most = column(gradient.abs().flatten(1).amax(1))
        scaled = gradient / torch.where(most > 0, most, 1.0)
        length = column(self.size(scaled))
        return scaled / torch.where(length > 0, length, 1.0)

    def ascend(self, pixels: Pixels, gradient: Pixels, length: Radii) -> Pixels:
        return pixels + self.steepest(shrunk(gradient, length)) * column(length)

    def sample(self, noise: RowNoise, images: Pixels, eps: Radii) -> Pixels:
        direction = self.steepest(noise.normal(*images.shape[1:]))
        return direction * column(by_row(_radius(noise, images), eps))


class _L1:
    def size(self, delta: Pixels) -> Floats:
        return wide(delta.contiguous().flatten(1)).abs().sum(1).to(delta.dtype)

    def project(self, pixels: Pixels, images: Pixels, eps: Radii) -> Pixels:
        """Give the nearest point of ball and [0, 1], measured in stretched channels where these differ.

        With the multiplier m >= 0 of the ball each value changes by min(max(|delta| - m, 0), room): the sum falls with
        m, piecewise linearly. Its breakpoints are sorted, and m is exact on the piece that holds eps.

        Source: Croce and Hein 2021, https://arxiv.org/abs/2103.01208, section 3 (proposition 3.1).
        """
        delta = stretched(wide(pixels - images), eps).flatten(1)
        center, wanted = wide(images.flatten(1)), delta.abs()
        room = stretched(torch.where(delta > 0, 1 - center, center).view_as(pixels), eps).flatten(1)
        multiplier = _multiplier(wanted, room, wide(largest(eps)))
        size = torch.minimum((wanted - multiplier[:, None]).clamp(min=0), room)
        moved = center + shrunk(torch.where(delta > 0, size, -size).view_as(pixels), eps).flatten(1)
        # What has not moved is the image itself, to the bit.
        inside = multiplier[:, None].eq(0) & (wanted <= room)
        exact = torch.where(inside, wide(pixels.flatten(1)), moved)
        return exact.to(pixels.dtype).view_as(pixels).clamp(0, 1)

    def steepest(self, gradient: Pixels) -> Pixels:
        return _on_largest(gradient)

    def ascend(self, pixels: Pixels, gradient: Pixels, length: Radii) -> Pixels:
        order = shrunk(gradient, length).flatten(1).abs().argsort(dim=1, descending=True, stable=True)
        room = stretched(_room(pixels, gradient).view_as(pixels), length).flatten(1).gather(1, order)
        before = room.cumsum(1) - room
        taken = torch.minimum((wide(largest(length))[:, None] - before).clamp(min=0), room)
        moved = torch.zeros_like(room).scatter(1, order, taken).view_as(pixels)
        change = shrunk(moved, length).flatten(1) * gradient.flatten(1).sign()
        return (wide(pixels.flatten(1)) + change).to(pixels.dtype).view_as(pixels).clamp(0, 1)

    def sample(self, noise: RowNoise, images: Pixels, eps: Radii) -> Pixels:
        # Exponential draws over their sum are uniform on the simplex.
        exponential = -torch.log1p(-wide(noise.uniform(*images.shape[1:])).flatten(1))
        share = exponential / exponential.sum(1, keepdim=True).clamp(min=1e-300)
        delta = share.to(images.dtype).view_as(images) * noise.sign(*images.shape[1:])
        return delta * column(by_row(_radius(noise, images), eps))


class _L0:
    def size(self, delta: Pixels) -> Floats:
        return (delta.abs() > HALF_LEVEL).flatten(1).sum(1).to(delta.dtype)

    def project(self, pixels: Pixels, images: Pixels, eps: Radii) -> Pixels:
        inside = pixels.clamp(0, 1)
        change = (inside - images).abs().flatten(1)
        keep = (_rank(change) < eps.floor()[:, None]) & (change > 0)
        return torch.where(keep.view_as(pixels), inside, images)

    def steepest(self, gradient: Pixels) -> Pixels:
        return _on_largest(gradient)

    def ascend(self, pixels: Pixels, gradient: Pixels, length: Radii) -> Pixels:
        gain = _room(pixels, gradient) * wide(gradient.flatten(1)).abs()
        chosen = (_rank(gain) < length.floor()[:, None]) & (gain > 0)
        ends = (gradient > 0).to(pixels.dtype)
        return torch.where(chosen.view_as(pixels), ends, pixels)

    def sample(self, noise: RowNoise, images: Pixels, eps: Radii) -> Pixels:
        shape = images.shape[1:]
        chosen = (_rank(noise.uniform(*shape).flatten(1)) < eps.floor()[:, None]).view_as(images)
        return torch.where(chosen, noise.uniform(*shape) * 2 - 1, torch.zeros_like(images))


BALLS: dict[Norm, Ball] = {"linf": _Linf(), "l2": _L2(), "l1": _L1(), "l0": _L0()}


def default_eps(norm: Norm, size: tuple[int, int]) -> Quantity:
    """Give the radius that is used where a user names none.

    Args:
        norm: of the ball.
        size: (height, width) of the input; d = 3 * height * width values.

    Returns:
        8/255 for linf; 0.5 * sqrt(d / 3072) for l2 and 12 * d / 3072 for l1, which are 0.5 and 12 for 32 x 32; one
        in a hundred values for l0.
    """
    values = 3 * math.prod(size)
    if norm == "linf":
        return Quantity("8/255", 8 / 255)
    exact = {"l2": 0.5 * math.sqrt(values / 3072), "l1": 12 * values / 3072, "l0": math.ceil(values / 100)}[norm]
    text = f"{exact:.3g}" if exact < 100 else f"{round(exact)}"
    return Quantity(text, float(text))


def largest_eps(norm: Norm, size: tuple[int, int]) -> float:
    """Give the radius at which the ball holds all pictures.

    Args:
        norm: of the ball.
        size: (height, width) of the input.
    """
    values = 3 * math.prod(size)
    return {"linf": 1.0, "l2": math.sqrt(values), "l1": float(values), "l0": float(values)}[norm]


def check_eps(norm: Norm, eps: Quantity, size: tuple[int, int]) -> None:
    """Refuse a radius that no perturbation of a picture can use.

    Args:
        norm: of the ball.
        eps: as the user wrote it.
        size: (height, width) of the input.

    Raises:
        UsageError: eps is not above 0, is larger than any perturbation in [0, 1], or is no whole count for l0.
    """
    most = largest_eps(norm, size)
    if not eps.value > 0:
        raise UsageError(
            f"--eps {eps.text} is not above 0", f"the default for {norm} is {default_eps(norm, size).text}"
        )
    if norm == "l0" and eps.value != int(eps.value):
        raise UsageError(f"--eps {eps.text} is no count of values", "for l0, --eps is the number of values that change")
    if eps.value > most * (1 + 1e-9):
        meant = f"{eps.text}/255" if norm == "linf" and eps.value <= 255 else default_eps(norm, size).text
        raise UsageError(f"--eps {eps.text} is more than the {most:g} that {norm} can reach", f"did you mean {meant}?")


def _radius(noise: RowNoise, images: Pixels) -> Tensor:
    # The share of the ball within radius r is r^d: almost all of a uniform draw lies near its surface.
    return wide(noise.uniform()).pow(1 / images[0].numel()).to(images.dtype)


def _on_largest(gradient: Pixels) -> Pixels:
    flat = gradient.flatten(1)
    place = flat.abs().argmax(1, keepdim=True)
    return torch.zeros_like(flat).scatter(1, place, flat.gather(1, place).sign()).view_as(gradient)


def _room(pixels: Pixels, gradient: Pixels) -> Tensor:
    """How far each value can go uphill within [0, 1], float64 (N, d)."""
    value, slope = wide(pixels.flatten(1)), gradient.flatten(1)
    return torch.where(slope > 0, 1 - value, value) * (slope != 0)


def _rank(values: Tensor) -> Tensor:
    """Place of each value in its row (N, d), 0 for the largest; among equals the first comes first."""
    order = values.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(values.shape[1], device=values.device).expand_as(order)
    return torch.empty_like(order).scatter(1, order, places)


def _multiplier(wanted: Tensor, room: Tensor, eps: Tensor) -> Tensor:
    """Find m (N,) with sum min(max(wanted - m, 0), room) = eps, or 0 where the sum at 0 is no more than eps."""
    # Going down from m = infinity, a value starts to count at m = wanted and stops growing at m = wanted - room.
    breaks = torch.cat([wanted, (wanted - room).clamp(min=0)], 1)
    slope = torch.cat([torch.ones_like(wanted), torch.full_like(wanted, -1.0)], 1)
    breaks, order = breaks.sort(dim=1, descending=True)
    slope = slope.gather(1, order).cumsum(1)  # of the sum, just below each break
    gaps = breaks - torch.cat([breaks[:, 1:], torch.zeros_like(breaks[:, :1])], 1)
    total = (slope * gaps).cumsum(1)  # the sum at the lower end of each piece
    piece = (total < eps[:, None]).sum(1).clamp(max=total.shape[1] - 1)[:, None]
    lower = torch.cat([breaks[:, 1:], torch.zeros_like(breaks[:, :1])], 1).gather(1, piece)
    rise, steep = total.gather(1, piece) - eps[:, None], slope.gather(1, piece)
    found = lower + torch.where(steep > 0, rise / steep.clamp(min=1), 0.0)
    return torch.where(torch.minimum(wanted, room).sum(1) > eps, found[:, 0].clamp(min=0), 0.0)
