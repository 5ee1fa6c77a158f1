"""A pool: rows of one attack on one classifier, that enter and leave one by one and are moved together.

One forward pass gives the logits that both judge the current pixels and feed the next step. A row that is done leaves,
and another takes its place at once. The pool measures success, distance and cost itself, and never takes the attack's
word for any of them.
"""

import math
import time
from collections import deque
from collections.abc import Iterable

import torch
from torch import Tensor

from advcli.core.attack import Attack, Proposing, check_attack
from advcli.core.radii import radii
from advcli.core.rows import Rows
from advcli.models.classifier import Classifier
from advcli.search.attempt import Attempt
from advcli.search.held import check_pixels, held, mask_from, steps_of
from advcli.search.outcome import Outcome
from advcli.search.passes import UNBOUNDED
from advcli.search.proposing import propose
from advcli.search.saving import Saving
from advcli.search.speculating import Speculation
from advcli.search.stepping import step
from advcli.search.visiting import CHECKS, Visits, blank

_PATIENCE = 1.0  # seconds for which rows that have ended wait for others, to be verified with them


class Pool:
    """Rows of one attack on one classifier.

    Args:
        classifier: what is attacked.
        attack: how.
        batch_size: rows that are moved together at most; changes speed and memory, never a result.
        early_exit: let a row go when a picture of it reaches the goal. Otherwise, and where the attack keeps the
            smallest success, every row makes all its steps.
        queries: forward and backward passes that a row may cost; none for no bound.

    Raises:
        ContractError: the attack's class does not keep the contract.
    """

    def __init__(
        self, classifier: Classifier, attack: Attack, *, batch_size: int, early_exit: bool, queries: int | None
    ) -> None:
        check_attack(attack)
        self.classifier = classifier
        self.attack = attack
        self.batch_size = batch_size
        self.early_exit = early_exit and attack.traits.keeps == "first"
        self.queries = queries
        self.visits = Visits(attack)
        self.saving = Saving(classifier, attack, self.visits)
        self.speculation = Speculation(classifier)
        self._round = propose if isinstance(attack, Proposing) else step
        self._waiting: deque[tuple[int, Attempt]] = deque()
        self._moving: tuple[Rows, Rows] | None = None
        self._ended: list[tuple[Rows, Rows]] = []
        self._ended_since = 0.0
        self._count = 0
        self._parts: dict[int, tuple[float, float]] = {}  # by number: share of the image's work before, and its own

    def add(self, attempts: Iterable[Attempt], *, ahead: bool = False) -> list[int]:
        """Take attempts in, behind those that wait or ahead of them; give their numbers."""
        numbered = []
        for attempt in attempts:
            numbered.append((self._count, attempt))
            self._parts[self._count] = (attempt.before, attempt.part)
            self._count += 1
        if ahead:
            self._waiting.extendleft(reversed(numbered))
        else:
            self._waiting.extend(numbered)
        return [number for number, _ in numbered]

    def drop(self, number: int) -> bool:
        """Forget an attempt whose outcome nobody needs; say whether it was still under way."""
        before = len(self)
        self._parts.pop(number, None)
        self._waiting = deque(one for one in self._waiting if one[0] != number)
        if self._moving is not None:
            rows, kept = self._moving
            self._move(rows, kept, rows.index != number)
        return len(self) < before

    def __len__(self) -> int:
        """Attempts that wait or are under way."""
        return len(self._waiting) + (len(self._moving[0]) if self._moving else 0)

    @property
    def idle(self) -> bool:
        """There is nothing left to do."""
        return not len(self) and not self._ended

    @property
    def share(self) -> float:
        """How much of what may be tried on their images is done of the attempts that wait or are under way."""
        done = math.fsum(before for before, _ in self._parts.values())
        if self._moving is None:
            return done
        rows, kept = self._moving
        shares: list[float] = (rows.age / kept.limit.clamp(min=1)).tolist()
        return done + sum(self._parts[one][1] * share for one, share in zip(rows.index.tolist(), shares, strict=True))

    def ages(self) -> dict[int, int]:
        """Steps made by each attempt that waits or is under way, by its number."""
        found = dict.fromkeys((number for number, _ in self._waiting), 0)
        if self._moving is not None:
            rows = self._moving[0]
            found |= dict(zip(rows.index.tolist(), rows.age.tolist(), strict=True))
        return found

    def advance(self) -> list[tuple[int, Outcome]]:
        """Move every row once; give the outcomes that are ready, by the number of their attempt."""
        self._admit()
        if self._moving is not None:
            self._round(self)
        return self._settled()

    def leave(self, rows: Rows, kept: Rows) -> Tensor:
        """Let rows go that have ended; they wait to be verified.

        Args:
            rows: all that move.
            kept: of the same rows.

        Returns:
            Indices of the rows that stay.
        """
        ended = (rows.age >= kept.limit) | kept.exhausted
        next_step = sum(self.attack.traits.cost)
        ended = ended | (rows.forward_passes + rows.backward_passes + next_step > rows.budget)
        if self.early_exit:
            ended = ended | kept.survived
        if callable(getattr(self.attack, "finished", None)):
            ended = ended | mask_from(self.attack, "finished", rows)
        if ended.any():
            self.release(rows[ended], kept[ended])
        return (~ended).nonzero()[:, 0]

    def release(self, rows: Rows, kept: Rows) -> None:
        """Let rows go; they wait to be verified."""
        self._ended_since = self._ended_since if self._ended else time.monotonic()
        self._ended.append((rows, kept))

    def put(self, rows: Rows, kept: Rows) -> None:
        """Say which rows move on."""
        self._moving = (rows, kept) if len(rows) else None

    @property
    def moving(self) -> tuple[Rows, Rows]:
        """The rows under way, at least one, and what is kept of them."""
        assert self._moving is not None
        return self._moving

    def _move(self, rows: Rows, kept: Rows, stay: Tensor) -> None:
        self.put(rows[stay], kept[stay])

    def _admit(self) -> None:
        free = self.batch_size - (len(self._moving[0]) if self._moving else 0)
        entering = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
        if not entering:
            return
        rows = self._started(entering)
        earlier = 1 if self.visits.smallest else 0 if self.early_exit else len(CHECKS)
        kept = blank(rows, len(self.classifier.card.classes), steps_of(self.attack, rows), earlier)
        parts = [*([self._moving] if self._moving else []), (rows, kept)]
        self._moving = (Rows.join([part[0] for part in parts]), Rows.join([part[1] for part in parts]))

    def _started(self, entering: list[tuple[int, Attempt]]) -> Rows:
        rows = new_rows(entering, self.classifier.device, self.queries)
        with held(self.attack, rows):
            self.attack.start(rows)
        check_pixels(self.attack, rows, rows.adversarial)
        return rows.fix()

    def _settled(self) -> list[tuple[int, Outcome]]:
        waiting = sum(len(rows) for rows, _ in self._ended)
        patient = self._moving is not None and time.monotonic() - self._ended_since < _PATIENCE
        if not waiting or (patient and waiting < self.classifier.block):
            return []
        rows, kept = (Rows.join(parts) for parts in zip(*self._ended, strict=True))
        self._ended = []
        numbers = rows.index.tolist()
        for number in numbers:
            del self._parts[number]
        return list(zip(numbers, self.saving.settle(rows, kept), strict=True))


def new_rows(entering: list[tuple[int, Attempt]], device: torch.device, queries: int | None) -> Rows:
    """Make rows for attempts: at their image or donor, nothing drawn, nothing spent.

    Args:
        entering: attempts and their numbers; all of one attack and with the same shares of eps.
        device: of the classifier.
        queries: the bound of attempts that bring none of their own; none for no bound.
    """

    def integers(values: Iterable[int]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.int64, device=device)

    attempts = [attempt for _, attempt in entering]
    images = torch.stack([attempt.image for attempt in attempts]).to(device)
    # Where there is no donor, the image stands for it: not at the goal, so that the attack has to find another start.
    donors = [attempt.image if attempt.donor is None else attempt.donor for attempt in attempts]
    from_donor = attempts[0].attack.traits.begins == "donor"
    given = {"donor": torch.stack(donors).to(device)} if from_donor else {}
    budgets = (one.queries if one.queries is not None else queries for one in attempts)
    zero = integers(0 for _ in attempts)
    return Rows(
        index=integers(number for number, _ in entering),
        images=images,
        eps=radii([attempt.eps for attempt in attempts], attempts[0].shares, device),
        label=integers(attempt.label for attempt in attempts),
        target=integers(attempt.target for attempt in attempts),
        aim=integers(attempt.aim for attempt in attempts),
        adversarial=given.get("donor", images).clone(),
        age=zero,
        budget=integers(UNBOUNDED if budget is None else budget for budget in budgets),
        forward_passes=zero.clone(),
        backward_passes=zero.clone(),
        key=torch.tensor([attempt.key for attempt in attempts], dtype=torch.int64, device=device),
        drawn=zero.clone(),
        **given,
    )
