"""One round of an attack that moves its rows in every step: look, judge, let go, step."""

from typing import TYPE_CHECKING, Any

import torch

from advcli.core.grid import snapped
from advcli.core.rows import Rows
from advcli.search.held import check_pixels, held, mask_from
from advcli.search.passes import CountedModel, visible

if TYPE_CHECKING:
    from advcli.search.pool import Pool


def step(pool: "Pool") -> None:
    """Look at the rows of a pool, let go those that are done, and move the others.

    Raises:
        ContractError: the attack did what its contract does not allow.
    """
    rows, kept = pool.moving
    look = pool.classifier.look(rows.adversarial, gradient=pool.attack.traits.needs == "gradient")
    rows = rows.replace(forward_passes=rows.forward_passes + 1)
    every = torch.ones(len(rows), 1, dtype=torch.bool, device=rows.images.device)
    pool.visits(rows, kept, rows.adversarial[:, None], look.logits[:, None], every)
    if pool.early_exit:
        pool.saving.check(rows, kept)
    places = pool.leave(rows, kept)
    if len(places) < len(rows):
        rows, kept = rows[places], kept[places]
    if not len(rows):
        pool.put(rows, kept)
        return
    model = CountedModel(pool.classifier, pool.attack, pool.visits, rows, kept, look, places)
    before = rows.adversarial.clone()  # the attack may change it in place
    rows = _moved(pool, rows, before, model, visible(look.logits[places], pool.attack))
    # Where the step took more than the traits say, no pass may be left to look at where it led.
    spent = rows.forward_passes + rows.backward_passes >= rows.budget
    kept.exhausted = model.exhausted | spent | _at_rest(pool, rows, before)
    if model.queried or kept.exhausted.any():
        _let_go_early(pool, rows, kept)
    else:
        pool.put(rows, kept)


def _moved(pool: "Pool", rows: Rows, before: torch.Tensor, model: CountedModel, logits: torch.Tensor) -> Rows:
    attack: Any = pool.attack
    with held(attack, rows):
        attack.step(rows, logits, model)
    if model.exhausted.any():  # it moved by gradients that it did not get
        rows.adversarial = torch.where(rows.column(model.exhausted.float()) > 0, before, rows.adversarial)
    check_pixels(attack, rows, rows.adversarial)
    rows.adversarial = snapped(rows.adversarial)
    return rows.replace(
        age=rows.age + 1,
        forward_passes=rows.forward_passes + model.forward,
        backward_passes=rows.backward_passes + model.backward,
    )


def _at_rest(pool: "Pool", rows: Rows, before: torch.Tensor) -> torch.Tensor:
    """Rows that have come to an end where they were: another look would show what the last one showed."""
    if not callable(getattr(pool.attack, "finished", None)):
        return torch.zeros_like(rows.label, dtype=torch.bool)
    ended = mask_from(pool.attack, "finished", rows)
    return ended & (rows.adversarial == before).flatten(1).all(1) if ended.any() else ended


def _let_go_early(pool: "Pool", rows: Rows, kept: Rows) -> None:
    """Let rows go that are at rest, or whose queries found a success or used up their budget, before another look."""
    if pool.early_exit:
        pool.saving.check(rows, kept)
    gone = kept.exhausted | (kept.survived & pool.early_exit)
    if gone.any():
        pool.release(rows[gone], kept[gone])
    pool.put(rows[~gone], kept[~gone])
