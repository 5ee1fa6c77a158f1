"""The classifier as a step sees it: every pass is counted, judged and held to the row's budget."""

import torch
import torch.nn.functional as F
from torch import Tensor

from advcli.core.attack import Attack
from advcli.core.rows import Rows
from advcli.errors import ContractError
from advcli.models.classifier import Classifier
from advcli.models.looking import Look
from advcli.search.visiting import Visits

UNBOUNDED = 1 << 62  # the budget of a row whose passes are not bounded


class CountedModel:
    """Passes of one step; see ``core.attack.Model``.

    Args:
        classifier: what is asked.
        attack: whose step it is.
        visits: what judges the points that are queried.
        rows: that make the step, N of them.
        kept: of the same rows; learns of the points that are queried.
        look: at the rows' current pixels, and maybe at others.
        places: (N,) places of the rows in ``look``.

    Attributes:
        forward: (N,) forward passes so far.
        backward: (N,) backward passes so far.
        exhausted: bool (N,), rows that asked for more than their budget.
        queried: something was queried.
    """

    def __init__(
        self, classifier: Classifier, attack: Attack, visits: Visits, rows: Rows, kept: Rows, look: Look, places: Tensor
    ) -> None:
        self._classifier = classifier
        self._attack = attack
        self._visits = visits
        self._rows = rows
        self._kept = kept
        self._look = look
        self._places = places
        self.forward = torch.zeros_like(rows.label)
        self.backward = torch.zeros_like(rows.label)
        self.exhausted = torch.zeros_like(rows.label, dtype=torch.bool)
        self.queried = False

    def vjp(self, cotangent: Tensor, where: Tensor | None = None) -> Tensor:
        """Give gradients at the rows' current pixels.

        Raises:
            ContractError: the attack said that it needs no gradient, or the shapes do not fit.
        """
        name, needs = type(self._attack).__name__, self._attack.traits.needs
        if needs != "gradient":
            raise ContractError(f"{name} needs only {needs} by its traits, and asked for a gradient")
        rows = self._chosen(where)
        classes = self._look.logits.shape[1]
        if cotangent.ndim not in (2, 3) or len(cotangent) != len(rows) or cotangent.shape[-1] != classes:
            wanted = f"({len(rows)}, {classes}) or ({len(rows)}, C, {classes})"
            raise ContractError(f"{name} gave a cotangent {tuple(cotangent.shape)}, not {wanted}")
        gradients = cotangent.shape[1] if cotangent.ndim == 3 else 1
        affordable = self._left()[rows] >= gradients
        self.exhausted[rows[~affordable]] = True
        self.backward.index_add_(0, rows, affordable.long() * gradients)
        if affordable.all():
            return self._look.vjp(cotangent, self._places[rows])
        height, width = self._rows.images.shape[2:]
        found = cotangent.new_zeros((*cotangent.shape[:-1], 3, height, width))
        if affordable.any():
            found[affordable] = self._look.vjp(cotangent[affordable], self._places[rows[affordable]])
        return found

    def query(self, pixels: Tensor, where: Tensor | None = None) -> Tensor:
        """Look at several candidates of every row, or of some rows.

        Raises:
            ContractError: the pixels are not (N, Q, 3, H, W), or outside [0, 1].
        """
        rows = self._chosen(where)
        expected = (len(rows), *self._rows.images.shape[1:])
        if pixels.ndim != 5 or (len(pixels), *pixels.shape[2:]) != expected or not pixels.shape[1]:
            name = type(self._attack).__name__
            raise ContractError(f"{name} queried {tuple(pixels.shape)}, not ({expected[0]}, Q, 3, *{expected[2:]})")
        points = torch.arange(pixels.shape[1], device=pixels.device)
        seen = points < self._left()[rows][:, None]
        logits = self._look.logits[self._places[rows]][:, None].repeat(1, len(points), 1)
        if seen.any():
            logits[seen] = self._classifier.look(pixels[seen].detach(), gradient=False).logits
        self.exhausted[rows[~seen.all(1)]] = True
        self.forward.index_add_(0, rows, seen.sum(1))
        self.queried = True
        self._judge(rows, pixels.detach(), logits, seen)
        return visible(logits, self._attack)

    def _judge(self, rows: Tensor, pixels: Tensor, logits: Tensor, seen: Tensor) -> None:
        """Tell what is kept of some rows, by their indices, of the points that were queried."""
        some = self._kept[rows]
        self._visits(self._rows[rows], some, pixels, logits, seen)
        for name in some:
            setattr(self._kept, name, getattr(self._kept, name).index_copy(0, rows, getattr(some, name)))

    def _left(self) -> Tensor:
        spent = self._rows.forward_passes + self._rows.backward_passes + self.forward + self.backward
        return self._rows.budget - spent

    def _chosen(self, where: Tensor | None) -> Tensor:
        count, device = len(self._rows), self._rows.images.device
        if where is None:
            return torch.arange(count, device=device)
        if where.dtype == torch.bool and where.shape == (count,):
            return where.nonzero()[:, 0]
        if where.dtype == torch.int64 and where.ndim == 1:
            return where
        raise ContractError(f"where is {tuple(where.shape)} of {where.dtype}, not a mask ({count},) or int64 indices")


def visible(logits: Tensor, attack: Attack) -> Tensor:
    """Show an attack no more than it said it needs: where that is labels, 1 at the predicted class."""
    if attack.traits.needs == "labels":
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    return logits
