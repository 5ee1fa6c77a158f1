"""A view whose readings can be differentiated: what is made of logits, activations and gradients, in the pixels."""

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from advcli.core.shapes import Logits, Pixels
from advcli.models.rectifiers import rectifying
from advcli.models.view import View

if TYPE_CHECKING:
    from advcli.models.classifier import Classifier


class DifferentiableView(View):
    """A view that keeps the graphs of all that it gives.

    The gradients of a network with ReLUs do not change with the pixels but where a ReLU switches, so their own
    derivative is zero almost everywhere. Here that of a softplus stands in, see ``models/rectifiers.py``; logits,
    activations and gradients are those of the network itself. The graphs hold tensors of every layer several times
    over: show it few pictures at once.

    Args:
        classifier: what looks at the pixels.
        pixels: float32 (N, 3, H, W) in [0, 1].
        watch: names of modules whose outputs will be asked for.
        gradient: the gradient at the pixels will be asked for.

    Attributes:
        pixels: (N, 3, H, W), which readings can be differentiated in.
        outputs: logits (N, K) with their graph.
    """

    _twice: ClassVar[bool] = True

    def __init__(
        self, classifier: "Classifier", pixels: Pixels, *, watch: tuple[str, ...] = (), gradient: bool = False
    ) -> None:
        super().__init__(classifier, pixels, watch=watch, gradient=gradient, around=rectifying("softplus"))
        blocks = self._looked[0].blocks
        self.pixels = torch.cat([block.pixels[: block.count] for block in blocks])
        self.outputs: Logits = torch.cat([block.logits[: block.count] for block in blocks])

    @property
    def leaves(self) -> list[Tensor]:
        """The pixels as the network was shown them, in blocks that may be filled up with repeats."""
        return [block.pixels for block in self._looked[0].blocks]

    def joined(self, gradients: list[Tensor]) -> Pixels:
        """Put gradients in the ``leaves`` together: (N, 3, H, W)."""
        blocks = self._looked[0].blocks
        return torch.cat([one[: block.count] for one, block in zip(gradients, blocks, strict=True)])

    def plain_gradient(self, cotangent: Logits) -> Pixels:
        """Gradient of each row's <cotangent, logits> at its pixels, without a graph."""
        return self._looked[0].vjp(cotangent)
