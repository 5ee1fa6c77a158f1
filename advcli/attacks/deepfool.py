"""DeepFool: steps to the nearest boundary of the classifier's linear approximation, until a boundary is crossed.

Source: Moosavi-Dezfooli et al. 2016, https://arxiv.org/abs/1511.04599, algorithm 2, and section 3.3 for linf.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from advcli.attacks._minimum_norm import on_grid
from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS, Norm
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.registry import Range

_DUAL: dict[Norm, Norm] = {"l2": "l2", "linf": "l1"}  # norm of the gradient that goes with each norm of the step
# The least gap between two logits that a step crosses, as a fraction of the largest logit. A smaller gap is float32's
# rounding error; a step over it would change no pixel, and the row would stall in front of the boundary.
_LEAST_GAP = 1e-5

_UNTARGETED = "it goes to the nearest of all boundaries; ddn, fmn and cw take a target"


@dataclass(frozen=True)
class DeepFool:
    """Search for the smallest perturbation that changes the label.

    Each step replaces the logits by their tangents at the current point. There the distance to the boundary with every
    other class is known, and the step leads to the nearest boundary. The steps are summed; the point that is looked at
    is the image plus 1 + ``overshoot`` times the sum, clipped to [0, 1]. A row ends when it is misclassified.

    Args:
        norm: in which the boundary that is nearest is sought, and distances are measured.
        steps: the most steps of a row, each of ``candidates`` - 1 gradients.
        candidates: number of classes that are considered, the label included: those with the highest logits on the
            clean image. At least 2; more than there are means all.
        overshoot: fraction by which the summed perturbation is lengthened, to end behind the boundary and not on it.
        on_grid: look only at eight-bit pictures, so that what is found is what is saved; the sum is not rounded.
    """

    traits: ClassVar[Traits] = Traits(
        norms=("l2", "linf"), targets="never", untargeted=_UNTARGETED, keeps="smallest", eps="unused", cost=(1, 9)
    )

    norm: Literal["l2", "linf"] = "l2"
    steps: int = 50
    candidates: Annotated[int, Range(2)] = 10
    overshoot: Annotated[float, Range(0)] = 0.02
    on_grid: bool = False

    def start(self, rows: Rows) -> None:
        """Begin at the image; the classes to consider are chosen with the first logits."""
        rows.total = torch.zeros_like(rows.images)
        rows.rivals = rows.label[:, None].repeat(1, self.candidates - 1)
        rows.ended = torch.zeros_like(rows.label, dtype=torch.bool)

    def finished(self, rows: Rows) -> Tensor:
        """Rows that are misclassified, or that no gradient can move: bool (N,)."""
        return rows.ended

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Go to the nearest boundary, where the label still stands."""
        rows.rivals = torch.where((rows.age == 0)[:, None], self._highest_others(rows, logits), rows.rivals)
        searching = (~rows.goal.reached(logits)).nonzero()[:, 0]
        rows.ended = torch.ones_like(rows.ended)
        if len(searching):
            step, moves = self._to_boundary(rows[searching], logits[searching], searching, model)
            rows.total = rows.total.index_add(0, searching, step)
            rows.ended = rows.ended.index_copy(0, searching, ~moves)
            pixels = (rows.images + (1 + self.overshoot) * rows.total).clamp(0, 1)
            rows.adversarial = on_grid(pixels) if self.on_grid else pixels

    def _to_boundary(self, rows: Rows, logits: Tensor, places: Tensor, model: Model) -> tuple[Tensor, Tensor]:
        """The step to the nearest boundary (n, 3, H, W), and whether there is one (n,), for the rows at ``places``."""
        rivals = rows.rivals[:, : logits.shape[1] - 1]
        cotangents = F.one_hot(rivals, logits.shape[1]) - F.one_hot(rows.label, logits.shape[1])[:, None]
        gradients = model.vjp(cotangents.to(logits.dtype), places)  # (n, C, K) -> (n, C, 3, H, W)
        wide_logits = wide(logits)
        gaps = wide_logits.gather(1, rows.label[:, None]) - wide_logits.gather(1, rivals)
        gaps = torch.maximum(gaps, _LEAST_GAP * wide_logits.abs().amax(1, keepdim=True))
        sizes = BALLS[_DUAL[self.norm]].size(gradients.flatten(0, 1)).view_as(gaps)
        distances = torch.where(sizes > 0, gaps / sizes, torch.inf)
        distance, nearest = distances.min(1)
        direction = BALLS[self.norm].steepest(gradients[torch.arange(len(rows), device=nearest.device), nearest])
        moves = torch.isfinite(distance)
        return direction * rows.column(distance.where(moves, 0.0)), moves

    def _highest_others(self, rows: Rows, logits: Tensor) -> Tensor:
        """Classes with the highest logits beside the label, int64 (N, candidates - 1); the last fills what is left."""
        others = logits.scatter(1, rows.label[:, None], float("-inf")).sort(dim=1, descending=True, stable=True).indices
        count = min(self.candidates, logits.shape[1]) - 1
        filler = others[:, count - 1 : count].expand(-1, self.candidates - 1 - count)
        return torch.cat([others[:, :count], filler], 1)
