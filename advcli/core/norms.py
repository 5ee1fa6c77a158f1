"""Balls round images: how large a perturbation is, how to come back inside, where to step, where to begin."""

from typing import Literal, Protocol, runtime_checkable

import torch

from advcli.core.precision import wide
from advcli.core.randomness import RowNoise
from advcli.core.shapes import Floats, Pixels

Norm = Literal["linf", "l2"]


@runtime_checkable
class Ball(Protocol):
    """The pixels within ``eps`` of an image and within [0, 1], in one norm."""

    def size(self, delta: Pixels) -> Floats:
        """Length of each perturbation, in pixel units."""
        ...

    def project(self, pixels: Pixels, images: Pixels, eps: Floats) -> Pixels:
        """Bring pixels into the ball round each image, then into [0, 1], which cannot leave the ball again."""
        ...

    def steepest(self, gradient: Pixels) -> Pixels:
        """Direction of length 1 along which the gradient rises most; zero where the gradient is zero."""
        ...

    def sample(self, noise: RowNoise, images: Pixels, eps: Floats) -> Pixels:
        """Perturbations drawn uniformly from the ball, [0, 1] not heeded."""
        ...


class _Linf:
    def size(self, delta: Pixels) -> Floats:
        return delta.abs().flatten(1).amax(1)

    def project(self, pixels: Pixels, images: Pixels, eps: Floats) -> Pixels:
        radius = eps.view(-1, 1, 1, 1)
        return pixels.clamp(images - radius, images + radius).clamp(0, 1)

    def steepest(self, gradient: Pixels) -> Pixels:
        return gradient.sign()

    def sample(self, noise: RowNoise, images: Pixels, eps: Floats) -> Pixels:
        return (noise.uniform(*images.shape[1:]) * 2 - 1) * eps.view(-1, 1, 1, 1)


class _L2:
    def size(self, delta: Pixels) -> Floats:
        return wide(delta.contiguous().flatten(1)).square().sum(1).sqrt().to(delta.dtype)

    def project(self, pixels: Pixels, images: Pixels, eps: Floats) -> Pixels:
        delta = pixels - images
        size = self.size(delta)
        shrink = torch.where(size > eps, eps / size, 1.0).to(delta.dtype)
        return (images + delta * shrink.view(-1, 1, 1, 1)).clamp(0, 1)

    def steepest(self, gradient: Pixels) -> Pixels:
        # Scaled by the largest entry first: the square of a gradient of 1e-30 is zero even in float32's neighbours.
        largest = gradient.abs().flatten(1).amax(1).view(-1, 1, 1, 1)
        scaled = gradient / torch.where(largest > 0, largest, 1.0)
        length = self.size(scaled).view(-1, 1, 1, 1)
        return scaled / torch.where(length > 0, length, 1.0)

    def sample(self, noise: RowNoise, images: Pixels, eps: Floats) -> Pixels:
        direction = self.steepest(noise.normal(*images.shape[1:]))
        # The share of the ball within radius r is r^d: almost all of a uniform draw lies near the sphere.
        radius = wide(noise.uniform()).pow(1 / images[0].numel()).to(images.dtype)
        return direction * (radius * eps).view(-1, 1, 1, 1)


BALLS: dict[Norm, Ball] = {"linf": _Linf(), "l2": _L2()}
