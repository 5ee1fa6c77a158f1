"""Rows that flow: jobs ask for attempts, and attempts of many jobs share the network.

A job is a generator: it yields attempts, is given their outcomes, and may yield more, such as the next larger eps for
an image that survived. Attempts of one attack on one classifier form a pool, in which a row that is done makes place
for another at once; no batch has an end at which the network would idle.
"""

import time
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from advcli.core.memory import give_back
from advcli.search.attempt import Attempt
from advcli.search.outcome import Outcome
from advcli.search.pool import Pool

T = TypeVar("T")
_PIXELS_IN_FLIGHT = 1 << 24  # of the rows of a pool; a row holds some ten tensors of its size
_TRIM_INTERVAL = 5.0  # seconds between two times that free memory is given back


@dataclass(frozen=True)
class Race:
    """Attempts of which only the first success is wanted.

    The winner is the success, as saved, with the fewest steps; among equals the first in order. An attempt is given up
    only once it can no longer win, so that the winner does not depend on which rows share a batch. The job is given
    the winner's outcome in its place and none for the others; without a success, all outcomes.

    Args:
        attempts: in order.
    """

    attempts: Sequence[Attempt]


Request = Sequence[Attempt] | Race
Job = Generator[Request, list[Outcome | None], T]


@dataclass(eq=False)
class _Running(Generic[T]):
    """A job and what it waits for."""

    job: "Job[T]"
    race: bool = False
    outcomes: list[Outcome | None] = field(default_factory=list)
    open: dict[int, tuple[Pool, int]] = field(default_factory=dict)  # place in the request: pool, number there
    best: tuple[int, int] | None = None  # steps and place of the best success of a race

    def heard(self, place: int, outcome: Outcome) -> None:
        """Take an outcome in."""
        self.outcomes[place] = outcome
        del self.open[place]
        if self.race and outcome.reached_as_saved:
            found = (outcome.steps, place)
            self.best = found if self.best is None else min(self.best, found)

    @property
    def answer(self) -> list[Outcome | None]:
        """What the job is given."""
        if self.best is None:
            return self.outcomes
        winner = self.best[1]
        return [outcome if place == winner else None for place, outcome in enumerate(self.outcomes)]


def flow(
    jobs: Iterable[Job[T]],
    *,
    batch_size: int | None = None,
    early_exit: bool = True,
    queries: int | None = None,
    on_progress: Callable[[float], None] | None = None,
    deadline: float | None = None,
) -> Iterator[T]:
    """Carry out jobs.

    Jobs are taken from the iterable only while no pool holds ``batch_size`` rows, so that memory is bounded by the rows
    in flight. The pool with the most rows moves next. Neither decides anything about a result.

    Args:
        jobs: in any number.
        batch_size: rows of a pool that are moved together; by default twice what the classifier is best shown.
        early_exit: let a row go at its first success as saved.
        queries: forward and backward passes that an attempt may cost at most; none for no bound.
        on_progress: hears, after every move, how many of the rows under way are done, fractions counted.
        deadline: on the clock of ``time.monotonic``; once it has passed and a job is finished, the others are given up
            as they are, without a result. None for no deadline.

    Yields:
        What each job returns, in the order of completion.

    Raises:
        ContractError: an attack did what its contract does not allow.
    """
    stream = _Stream[T](batch_size, queries, early_exit=early_exit)
    waiting = iter(jobs)
    more, results, trimmed = True, 0, time.monotonic()
    while not (results and _passed(deadline)):
        while more and stream.has_room() and not (results and _passed(deadline)):
            job = next(waiting, None)
            more = job is not None
            if job is not None:
                for result in stream.start(job):
                    results += 1
                    yield result
        if stream.idle:
            return
        for result in stream.move():
            results += 1
            yield result
        if on_progress is not None:
            on_progress(stream.share)
        if _passed(trimmed + _TRIM_INTERVAL):
            give_back()
            trimmed = time.monotonic()


def _passed(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline


def drive(
    attempts: Sequence[Attempt], *, batch_size: int | None = None, early_exit: bool = True, queries: int | None = None
) -> list[Outcome]:
    """Carry out attempts that do not depend on one another; see ``flow``.

    Returns:
        Their outcomes, in the order of the attempts.
    """
    found: dict[int, Outcome] = {}

    def job(place: int, attempt: Attempt) -> Job[None]:
        (outcome,) = yield [attempt]
        assert outcome is not None
        found[place] = outcome

    jobs = (job(place, attempt) for place, attempt in enumerate(attempts))
    for _ in flow(jobs, batch_size=batch_size, early_exit=early_exit, queries=queries):
        pass
    return [found[place] for place in range(len(attempts))]


class _Stream(Generic[T]):
    """The pools and the jobs that wait for them."""

    def __init__(self, batch_size: int | None, queries: int | None, *, early_exit: bool) -> None:
        self._batch_size = batch_size
        self._queries = queries
        self._early_exit = early_exit
        self._pools: dict[Hashable, Pool] = {}
        self._owners: dict[tuple[Pool, int], tuple[_Running[T], int]] = {}
        self._races: list[_Running[T]] = []

    def has_room(self) -> bool:
        return all(len(pool) < pool.batch_size for pool in self._pools.values())

    @property
    def idle(self) -> bool:
        return all(pool.idle for pool in self._pools.values())

    @property
    def share(self) -> float:
        return sum((pool.share for pool in self._pools.values()), 0.0)

    def start(self, job: "Job[T]") -> Iterator[T]:
        """Ask a job what it wants; give its result if it wants nothing."""
        return self._ask(_Running(job), first=True)

    def move(self) -> Iterator[T]:
        """Move the rows of the largest pool once; give the results of jobs that are complete."""
        # Pools in which rows only wait to be verified come last, one after another.
        pool = max((pool for pool in self._pools.values() if not pool.idle), key=len)
        for number, outcome in pool.advance():
            running, place = self._owners.pop((pool, number))
            running.heard(place, outcome)
            if not running.open:
                yield from self._ask(running)
        yield from self._decided()
        self._pools = {key: pool for key, pool in self._pools.items() if not pool.idle}

    def _ask(self, running: _Running[T], *, first: bool = False) -> Iterator[T]:
        """Give a job its outcomes, and take in what it wants next."""
        while True:
            if running in self._races:
                self._races.remove(running)
            try:
                request = next(running.job) if first else running.job.send(running.answer)
            except StopIteration as stop:
                yield stop.value
                return
            ahead, first = not first, False  # a job that is under way is finished before others begin
            running.race, running.best = isinstance(request, Race), None
            attempts = request.attempts if isinstance(request, Race) else request
            running.outcomes = [None] * len(attempts)
            if attempts:
                self._enter(running, attempts, ahead=ahead)
                return

    def _enter(self, running: _Running[T], attempts: Sequence[Attempt], *, ahead: bool) -> None:
        if running.race:
            self._races.append(running)
        by_pool: dict[Pool, list[int]] = {}
        for place, attempt in enumerate(attempts):
            by_pool.setdefault(self._pool(attempt), []).append(place)
        for pool, places in by_pool.items():
            numbers = pool.add((attempts[place] for place in places), ahead=ahead)
            for place, number in zip(places, numbers, strict=True):
                running.open[place] = (pool, number)
                self._owners[pool, number] = (running, place)

    def _pool(self, attempt: Attempt) -> Pool:
        attack: Any = attempt.attack
        same = attack if isinstance(attack, Hashable) else id(attack)
        key: Hashable = (id(attempt.classifier), same, attempt.shares)
        if key not in self._pools:
            height, width = attempt.classifier.card.preprocessing.size
            fitting = max(1, _PIXELS_IN_FLIGHT // (height * width))  # photographs in their own size may be huge
            size = min(self._batch_size or 2 * attempt.classifier.batch_size, fitting)
            self._pools[key] = Pool(
                attempt.classifier, attack, batch_size=size, early_exit=self._early_exit, queries=self._queries
            )
        return self._pools[key]

    def _decided(self) -> Iterator[T]:
        """Give up what can no longer win its race."""
        for running in [race for race in self._races if race.best is not None]:
            ages = {pool: pool.ages() for pool, _ in running.open.values()}
            for place, (pool, number) in list(running.open.items()):
                age = ages[pool].get(number)
                if running.best is not None and age is not None and (age, place) > running.best:
                    pool.drop(number)
                    del running.open[place], self._owners[pool, number]
            if not running.open:
                yield from self._ask(running)
