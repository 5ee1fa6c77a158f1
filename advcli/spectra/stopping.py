"""Early stopping by a spectral cue (``train --stop-on alpha``), and what stopping then would have cost or gained."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from advcli.spectra.pool import Pool, Request
from advcli.spectra.readings import mean_alpha, read_alpha
from advcli.spectra.store import load

LOW, HIGH = 2.0, 6.0  # outside, the authors call a network over-trained or under-trained
PATIENCE = 5  # epochs


@dataclass(frozen=True)
class Cue:
    """What is known of the spectra after one epoch.

    Args:
        epoch: 1 for the first.
        alpha: mean over the layers that can be read; none where none can.
        over_trained: number of layers that read ``over-trained``.
    """

    epoch: int
    alpha: float | None
    over_trained: int


@dataclass
class AlphaStop:
    """Says when to stop: the mean alpha has left its range, or more layers are over-trained, for ``patience`` epochs.

    A range that was never reached cannot be left: a network that begins above it goes on.

    Args:
        low: of the range of the mean alpha.
        high: of that range.
        patience: epochs in a row that a cue has to hold.
    """

    low: float = LOW
    high: float = HIGH
    patience: int = PATIENCE
    _reached: bool = field(default=False, init=False)
    _fewest: int | None = field(default=None, init=False)
    _count: int = field(default=0, init=False)

    def observe(self, cue: Cue) -> bool:
        """Take in one more epoch, and say whether to stop after it.

        Args:
            cue: of the epoch after the one before.
        """
        inside = cue.alpha is not None and self.low <= cue.alpha <= self.high
        self._reached = self._reached or inside
        left = self._reached and cue.alpha is not None and not inside
        grown = self._fewest is not None and cue.over_trained > self._fewest
        self._fewest = cue.over_trained if self._fewest is None else min(self._fewest, cue.over_trained)
        self._count = self._count + 1 if left or grown else 0
        return self._count >= self.patience


@dataclass(frozen=True)
class Stopped:
    """What stopping by the cue comes to.

    Args:
        epoch: after which training would have ended.
        accuracy: then, on what is not learned from, in [0, 1].
        last_accuracy: at the end of the whole training.
        gained: the first less the second; negative where stopping costs accuracy.
        saved: epochs that would not have been trained.
    """

    epoch: int
    accuracy: float | None
    last_accuracy: float | None
    gained: float | None
    saved: int


def cue_of(epoch: int, alphas: Sequence[float | None], readings: Sequence[str]) -> Cue:
    """Sum up the layers of one epoch.

    Args:
        epoch: 1 for the first.
        alphas: of the layers.
        readings: of the same layers.
    """
    return Cue(epoch, mean_alpha(alphas, readings), list(readings).count("over-trained"))


def in_hindsight(
    cues: Iterable[Cue], accuracies: Sequence[float | None], stop: AlphaStop | None = None
) -> Stopped | None:
    """Say what stopping by the cue would have cost or gained in a training that went on.

    Args:
        cues: of all epochs, ascending.
        accuracies: of the same epochs.
        stop: with the range and the patience wanted; by default the usual ones.

    Returns:
        Where it would have stopped; none where never, or only after the last epoch.
    """
    judge = stop or AlphaStop()
    every = list(cues)
    for cue, accuracy in zip(every, accuracies, strict=True):
        if judge.observe(cue):
            if cue is every[-1]:
                return None
            last = accuracies[-1]
            gained = None if accuracy is None or last is None else accuracy - last
            return Stopped(cue.epoch, accuracy, last, gained, every[-1].epoch - cue.epoch)
    return None


def cue_of_checkpoint(pool: Pool, request: Request, epoch: int) -> Cue | None:
    """Analyze a checkpoint that a training has just written.

    Args:
        pool: of the processes that analyze; the training goes on with what it found as it was.
        request: names the file, and the folder where analyses are kept.
        epoch: of the checkpoint.

    Returns:
        What ``AlphaStop.observe`` takes; none where the checkpoint cannot be analyzed.
    """
    answer = pool.ask(request)
    analysis = load(answer.stored) if answer.stored is not None else None
    if analysis is None:
        return None
    rows = [one for one in analysis.layers if one.columns]
    alphas = [one.columns["alpha"] if one.words.get("status") == "success" else None for one in rows]
    readings = [
        read_alpha(alpha, one.alpha_null, len(one.eigenvalues))[0] for alpha, one in zip(alphas, rows, strict=True)
    ]
    return cue_of(epoch, alphas, readings)
