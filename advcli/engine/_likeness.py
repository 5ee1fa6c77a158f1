"""How alike a picture's answers are with and without a probe, and where in the picture that comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from advcli.attributions._run import traits_of
from advcli.core.choices import Probe
from advcli.core.precision import wide
from advcli.core.randomness import RowNoise
from advcli.core.scores import Target
from advcli.core.shapes import Floats, Pixels
from advcli.engine._maps import layers_of, target_of
from advcli.metrics.probes import probed, through_probe
from advcli.models.classifier import Classifier
from advcli.models.differentiable import DifferentiableView
from advcli.models.layers import Layer
from advcli.registry import Method
from advcli.runs.command import Case
from advcli.runs.images import Clean


@dataclass(frozen=True)
class ProbeComparison:
    """Compares a picture with itself under a slight change.

    Args:
        probe: slight change of the picture.
        case: explanation whose maps are compared; none for the probability of the predicted class.
        layer: names of the layers to watch, or none for the default.
    """

    probe: Probe
    case: Case | None
    layer: str | None

    def of(self, classifier: Classifier, clean: Sequence[Clean], pixels: Pixels, noise: RowNoise) -> "Likeness":
        """Compare pictures of images with the same pictures under the probe.

        Args:
            classifier: their model.
            clean: the images, N of them.
            pixels: (N, 3, H, W), the pictures at hand.
            noise: of the probe.
        """
        method = None if self.case is None else self.case.payload[1].method
        layers = layers_of(clean[0].classifier, self.layer) if method and method.asks_for("layer") else ()
        watch, gradient = tuple(layer.name for layer in layers), method is not None and traits_of(method).gradient
        first, second = (
            DifferentiableView(classifier, some, watch=watch, gradient=gradient)
            for some in (pixels, probed(pixels, self.probe, noise))
        )
        own = first.logits.argmax(1)
        if self.case is None or method is None:
            chosen = [wide(view.outputs).softmax(1).gather(1, own[:, None])[:, 0] for view in (first, second)]
            return Likeness(first, second, self.probe, -(chosen[0] - chosen[1]).abs())
        target = target_of(self.case, own.tolist(), clean)
        maps = [_maps(view, method, target, layers) for view in (first, second)]
        return Likeness(first, second, self.probe, _correlation(*maps))


@dataclass(frozen=True, eq=False)
class Likeness:
    """How alike the answers to N pictures and to the probed pictures are.

    Args:
        first: the pictures as they are.
        second: under the probe.
        probe: which.
        alike: (N,) float64 with its graph: Pearson's correlation of the signed maps, 0 where one is constant; or by how
            much the probability changes, as a negative number.
    """

    first: DifferentiableView
    second: DifferentiableView
    probe: Probe
    alike: Floats

    @cached_property
    def values(self) -> Floats:
        """``alike`` without its graph."""
        return self.alike.detach()

    def gradient(self) -> Pixels:
        """Derivative (N, 3, H, W) of each likeness in its picture, of which the probed one is made."""
        if not self.alike.requires_grad:  # nothing that it is made of depends on the pixels
            return torch.zeros_like(self.first.pixels)
        sides = self.first.leaves, self.second.leaves
        found = iter(torch.autograd.grad(self.alike.sum(), [*sides[0], *sides[1]], allow_unused=True))
        whole = [[_or_zero(next(found), leaf) for leaf in leaves] for leaves in sides]
        first, second = (view.joined(one) for view, one in zip((self.first, self.second), whole, strict=True))
        return (first + through_probe(second, self.probe)).nan_to_num(0.0, 0.0, 0.0)


def _maps(view: DifferentiableView, method: Method, target: Target, layers: Sequence[Layer]) -> Tensor:
    """Make maps (N, H * W), each divided by its largest absolute value; of several layers their mean."""
    explain = method.build()
    found = [explain(view, target, **({"layer": layer} if layer else {})).flatten(1) for layer in layers or (None,)]
    largest = [one.detach().abs().amax(1, keepdim=True) for one in found]
    scaled = [one / torch.where(size > 0, size, 1.0) for one, size in zip(found, largest, strict=True)]
    return torch.stack(scaled).mean(0)


def _correlation(first: Tensor, second: Tensor) -> Floats:
    """Correlate maps (N, H * W) row by row; 0 where one is constant."""
    one, other = (values - values.mean(1, keepdim=True) for values in (first, second))
    squares = one.square().sum(1) * other.square().sum(1)
    return (one * other).sum(1) / torch.where(squares > 0, squares, 1.0).sqrt()


def _or_zero(gradient: Tensor | None, leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if gradient is None else gradient
