"""Carlini and Wagner's attack: the squared distance plus c times the margin, minimized by Adam for one c after another.

Source: Carlini and Wagner 2017, https://arxiv.org/abs/1608.04644, sections V and VI.A, and the constants of the
authors' code (https://github.com/carlini/nn_robust_attacks).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from advcli.attacks._minimum_norm import on_grid
from advcli.core.attack import Model, Traits
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.registry import Range

_INSIDE = 0.999999  # how far from -1 and 1 a value is kept before atanh, so that black and white can change
_MOST_C = 1e10
_LEAST_DECREASE = 0.9999  # of the loss, from one tenth of the steps to the next


@dataclass(frozen=True)
class Cw:
    """Minimize ||x' - x||^2 + c * max(-margin, -confidence) for several c, chosen for every image by itself.

    The pixels are (tanh w + 1) / 2, so that they stay in [0, 1]; Adam moves w. c is multiplied by ten until one
    succeeds; then the smallest that does is sought by bisection. The minimization for one c ends early where a tenth
    of the steps has lowered the image's own loss by less than 0.01 %. The nearest success of all steps is kept.

    Args:
        confidence: logits by which a success has to be ahead: with 0, any success counts.
        steps: gradient evaluations for each c; fewer where the allowed queries are not enough for all c.
        search_steps: number of c that are tried.
        initial_c: the first c, per squared pixel unit.
        step_size: of Adam, in w.
        abort_early: end a minimization that does not get on.
        on_grid: look only at eight-bit pictures, so that what is found is what is saved; w is not rounded.
    """

    traits: ClassVar[Traits] = Traits(keeps="smallest", measure="l2")

    confidence: Annotated[float, Range(0)] = 0.0
    steps: int = 1000
    search_steps: int = 9
    initial_c: float = 1e-3
    step_size: float = 0.01
    abort_early: bool = True
    on_grid: bool = False

    def start(self, rows: Rows) -> None:
        """Begin at the image, with the first c and no bounds of it."""
        image = wide(rows.images)
        rows.point, rows.uphill = _origin(rows), torch.zeros_like(rows.images)
        rows.mean, rows.square = torch.zeros_like(image), torch.zeros_like(image)
        rows.c = torch.full_like(wide(rows.eps), self.initial_c)
        rows.low, rows.high = torch.zeros_like(rows.c), torch.full_like(rows.c, _MOST_C)
        rows.before = torch.full_like(rows.c, torch.inf)
        rows.made, rows.tried = torch.zeros_like(rows.label), torch.zeros_like(rows.label)
        rows.found = torch.zeros_like(rows.label, dtype=torch.bool)

    def steps_for(self, rows: Rows) -> Tensor:
        """Steps for all c together, int64 (N,)."""
        return (self._steps_each(rows) + 1) * self.search_steps

    def finished(self, rows: Rows) -> Tensor:
        """Rows that have tried all their c, bool (N,)."""
        return rows.tried >= self.search_steps

    def counts(self, rows: Rows, logits: Tensor) -> Tensor:
        """Successes that are ahead by the confidence, bool (N,)."""
        return rows.goal.margin(logits) >= self.confidence

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Move w once, for the present c or from the image for the next."""
        margin = rows.goal.loss(logits, "margin")
        distance = wide(rows.adversarial - rows.images).square().flatten(1).sum(1)
        loss = distance + rows.c * (-margin).clamp(min=-self.confidence)
        rows.found = rows.found | (rows.goal.reached(logits) & self.counts(rows, logits))
        ended = self._ended(rows, loss)
        active = (~ended & (margin < self.confidence)) | (rows.age == 0)
        uphill = self._uphill(rows, logits, model, active)
        rows.uphill = torch.where(_column(rows.age == 0), uphill, rows.uphill)
        self._next_c(rows, ended)
        # Every c begins at the image, whose gradient is known.
        self._adam(rows, torch.where(_column(ended), rows.uphill, uphill))

    def _steps_each(self, rows: Rows) -> Tensor:
        """Steps (N,) for each c."""
        return (rows.budget // self.search_steps // 2).clamp(1, self.steps)

    def _ended(self, rows: Rows, loss: Tensor) -> Tensor:
        """Rows whose c has had its steps, or does not get on; the others remember their loss at each tenth."""
        each = self._steps_each(rows)
        ended: Tensor = rows.made >= each
        if self.abort_early:
            tenth = (rows.made > 0) & (rows.made % (each // 10).clamp(min=1) == 0)
            ended = ended | (tenth & (loss > _LEAST_DECREASE * rows.before))
            rows.before = torch.where(tenth, loss, rows.before)
        return ended

    def _uphill(self, rows: Rows, logits: Tensor, model: Model, active: Tensor) -> Tensor:
        """The gradient of the margin (N, 3, H, W); zero where it has no part in the loss."""
        places = active.nonzero()[:, 0]
        gradient = torch.zeros_like(rows.images)
        if len(places):
            gradient[places] = model.vjp(rows.goal.ascent(logits, "margin")[places], places)
        return gradient

    def _next_c(self, rows: Rows, ended: Tensor) -> None:
        """Bisect c where a minimization has ended, and begin again at the image."""
        rows.high = torch.where(ended & rows.found, torch.minimum(rows.high, rows.c), rows.high)
        rows.low = torch.where(ended & ~rows.found, torch.maximum(rows.low, rows.c), rows.low)
        middle = torch.where(rows.high < _MOST_C, (rows.low + rows.high) / 2, (rows.c * 10).clamp(max=_MOST_C))
        rows.c = torch.where(ended, middle, rows.c)
        rows.before = torch.where(ended, torch.inf, rows.before)
        rows.made = torch.where(ended, 0, rows.made)
        rows.tried = rows.tried + ended.long()
        rows.found = rows.found & ~ended
        again = _column(ended)
        rows.point = torch.where(again, _origin(rows), rows.point)
        rows.mean, rows.square = (torch.where(again, 0.0, one) for one in (rows.mean, rows.square))

    def _adam(self, rows: Rows, uphill: Tensor) -> None:
        """One step of Adam in w."""
        value = torch.tanh(rows.point)
        outer = value - wide(rows.images * 2 - 1) - rows.c.view(-1, 1, 1, 1) * wide(uphill)  # in the pixels
        gradient = outer * (1 - value.square()) / 2
        rows.made = rows.made + 1
        rows.mean = 0.9 * rows.mean + 0.1 * gradient
        rows.square = 0.999 * rows.square + 0.001 * gradient.square()
        mean = rows.mean / (1 - 0.9 ** wide(rows.made)).view(-1, 1, 1, 1)
        square = rows.square / (1 - 0.999 ** wide(rows.made)).view(-1, 1, 1, 1)
        rows.point = rows.point - self.step_size * mean / (square.sqrt() + 1e-8)
        pixels = ((torch.tanh(rows.point) + 1) / 2).to(rows.images.dtype).clamp(0, 1)
        pixels = on_grid(pixels) if self.on_grid else pixels
        rows.adversarial = torch.where(_column(self.finished(rows)), rows.adversarial, pixels)


def _origin(rows: Rows) -> Tensor:
    """The w of the images."""
    return torch.atanh(_INSIDE * (2 * wide(rows.images) - 1))


def _column(mask: Tensor) -> Tensor:
    return mask.view(-1, 1, 1, 1)
