"""How many proposals of each row are looked at together: it changes the time of a search, never its result."""

from itertools import accumulate

from advcli.models.classifier import Classifier

_FIRST_GUESS = 0.25  # share of the proposals that are accepted, before any was seen
_WEIGHT = 0.1  # of one round in the share that is expected
_BLOCKS = 4  # of the network's rows that speculation fills at most
_SMALL = 64 * 64  # pixels of a picture up to which a round costs as much besides as a block of its rows


class Speculation:
    """Learns how often proposals are accepted, and weighs what looking ahead gains against what it costs.

    Of Q proposals of a row, those behind the first accepted one are looked at in vain: if each is accepted with
    probability p, (1 - (1 - p)^Q) / p of them count. Q is chosen for most proposals that count by rows that are shown,
    where a network is shown ``block`` rows at least, and a round costs some time besides.

    Args:
        classifier: that looks at the proposals.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._block = classifier.block
        height, width = classifier.card.preprocessing.size
        self._besides = classifier.block * min(1.0, _SMALL / (height * width))
        self._rate = _FIRST_GUESS

    def ahead(self, rows: int) -> int:
        """Give the number of proposals of each row that are best looked at together.

        Args:
            rows: that propose.
        """
        if self._block == 1:  # nothing is filled up with repeats, and so nothing is looked at in vain
            return 1
        most = max(1, _BLOCKS * self._block // rows)
        counting = accumulate((1 - self._rate) ** turn for turn in range(most))
        worth = [
            count / (max(rows * ahead, self._block) + self._besides) for ahead, count in enumerate(counting, start=1)
        ]
        return 1 + worth.index(max(worth))

    def learn(self, seen: int, accepted: int) -> None:
        """Take in how many proposals were seen in a round, and how many of them were accepted or ended their row."""
        self._rate += _WEIGHT * (accepted / seen - self._rate)
