"""One round of an attack that proposes and accepts: several proposals of each row are looked at together.

The network is shown a block of rows at least, and a short block would be filled with repeats. It is filled with the
next proposals instead, and a few rows with more of them (``Speculation``). Each proposal has random numbers of its own,
numbered by the row's age, and those behind the first accepted one are forgotten, so that the result is the same however
many are looked at together.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from advcli.core.attack import Attack
from advcli.core.rows import GIVEN, Rows
from advcli.errors import ContractError
from advcli.search.held import check_pixels, held, mask_from
from advcli.search.passes import visible

if TYPE_CHECKING:
    from advcli.search.pool import Pool

_STRIDE = 1 << 24  # blocks of random numbers that one proposal may draw


def propose(pool: "Pool") -> None:
    """Look at the starting points of new rows and at proposals of the others, and let go what is done.

    Raises:
        ContractError: the attack did what its contract does not allow.
    """
    rows, kept = pool.moving
    new, old = (~kept.begun).nonzero()[:, 0], kept.begun.nonzero()[:, 0]
    ahead = pool.speculation.ahead(len(rows))
    begun = (_chosen_of(rows, old), _chosen_of(kept, old))
    proposals = _Proposals(pool.attack, *begun, ahead) if len(old) else None
    shown = [rows.adversarial[new], *([proposals.pixels] if proposals else [])]
    logits = pool.classifier.look(torch.cat(shown), gradient=False).logits
    parts = []
    if len(new):
        parts.append(_begun(pool, _chosen_of(rows, new), _chosen_of(kept, new), logits[: len(new)]))
    if proposals is not None:
        parts.append(_chosen(pool, proposals, begun[1], logits[len(new) :]))
    if len(parts) == 1:
        ((rows, kept),) = parts
    else:
        order = torch.cat([new, old]).argsort()
        rows, kept = (Rows.join(one)[order] for one in zip(*parts, strict=True))
    if pool.early_exit:
        pool.saving.check(rows, kept)
    stay = pool.leave(rows, kept)
    pool.put(_chosen_of(rows, stay), _chosen_of(kept, stay))


def _chosen_of(rows: Rows, places: Tensor) -> Rows:
    """Rows at ascending places, without a copy where these are all."""
    return rows if len(places) == len(rows) else rows[places]


class _Proposals:
    """Proposals of some rows, all from the rows' present state.

    Attributes:
        rows: M of them.
        many: M x Q rows, one per proposal, of the age and with the random numbers that it has.
        pixels: (M x Q, 3, H, W).
        allowed: bool (M, Q), proposals that the row's steps and budget allow.
    """

    def __init__(self, attack: Attack, rows: Rows, kept: Rows, ahead: int) -> None:
        self.rows = rows
        device = rows.label.device
        which = torch.arange(len(rows), device=device).repeat_interleave(ahead)
        turn = torch.arange(ahead, device=device).repeat(len(rows))
        many = rows if ahead == 1 else rows[which]
        age = many.age + turn
        self.many = many.replace(age=age, drawn=kept.origin[which] + (age + 1) * _STRIDE,
                                 forward_passes=many.forward_passes + turn)  # fmt: skip
        self.pixels = _drawn(attack, self.many)
        left = torch.minimum(kept.limit - rows.age, rows.budget - rows.forward_passes - rows.backward_passes)
        self.allowed = turn.view(len(rows), ahead) < left[:, None].clamp(min=1)


def _drawn(attack: Attack, many: Rows) -> Tensor:
    scratch = _scratch(many)
    before = {name: getattr(scratch, name) for name in set(many) - GIVEN}
    proposing: Any = attack
    with held(attack, scratch):
        pixels: Tensor = proposing.propose(scratch)
    check_pixels(attack, many, pixels)
    for name, tensor in before.items():
        after = getattr(scratch, name)
        if after is not tensor or not torch.equal(after, getattr(many, name)):
            raise ContractError(f"{type(attack).__name__}.propose changed rows.{name}; only accept may")
    return pixels


def _scratch(rows: Rows) -> Rows:
    """Copy what an attack may change."""
    return rows.replace(**{name: getattr(rows, name).clone() for name in set(rows) - GIVEN})


def _begun(pool: "Pool", rows: Rows, kept: Rows, logits: Tensor) -> tuple[Rows, Rows]:
    """Judge starting points; the attack remembers their logits as if they had been proposed and accepted."""
    rows = rows.replace(forward_passes=rows.forward_passes + 1)
    every = torch.ones(len(rows), 1, dtype=torch.bool, device=logits.device)
    pool.visits(rows, kept, rows.adversarial[:, None], logits[:, None], every)
    mask_from(pool.attack, "accept", rows, rows.adversarial, visible(logits, pool.attack))
    kept.begun = torch.ones_like(kept.begun)
    return rows, kept


def _chosen(pool: "Pool", proposals: _Proposals, kept: Rows, logits: Tensor) -> tuple[Rows, Rows]:
    """Judge proposals up to the first that is accepted or ends the row, and give the state behind it."""
    rows, many, allowed = proposals.rows, proposals.many, proposals.allowed
    after, accepted = _accepted(pool.attack, many, proposals.pixels, visible(logits, pool.attack))
    stop = accepted | pool.visits.successes(many, proposals.pixels, logits)
    if callable(getattr(pool.attack, "finished", None)):
        stop = stop | mask_from(pool.attack, "finished", after)
    count, ahead = allowed.shape
    turns = torch.arange(ahead, device=logits.device)
    last = allowed.sum(1) - 1
    first = torch.where(stop.view(count, ahead), turns, ahead).amin(1).minimum(last)
    seen = turns <= first[:, None]
    pool.speculation.learn(int(seen.sum()), int((stop.view(count, ahead) & seen).sum()))
    pixels = proposals.pixels.view(count, ahead, *proposals.pixels.shape[1:])
    pool.visits(rows, kept, pixels, logits.view(count, ahead, -1), seen)
    taken = after if ahead == 1 else after[torch.arange(count, device=logits.device) * ahead + first]
    passes = rows.forward_passes + first + 1
    return taken.replace(forward_passes=passes, drawn=rows.drawn), kept


def _accepted(attack: Attack, many: Rows, pixels: Tensor, logits: Tensor) -> tuple[Rows, Tensor]:
    """Ask which proposals are accepted; give the state behind each: the new one, or the old one a proposal older."""
    state = _scratch(many)
    mask = mask_from(attack, "accept", state, pixels, logits)
    state.adversarial = pixels
    merged = {"age": many.age + 1}
    for name in set(many) - GIVEN:
        before, changed = getattr(many, name), getattr(state, name)
        merged[name] = torch.where(mask.view(-1, *[1] * (before.ndim - 1)), changed, before)
    return many.replace(**merged), mask
