"""What the tests of attacks share: attempts."""

import pytest

from advcli.core.randomness import key
from advcli.search.attempt import Attempt


@pytest.fixture
def make_attempts():
    """Make an attempt per picture; ``target`` is one class per picture or none, ``eps`` one radius for all."""

    def make(attack, classifier, images, label, target=None, eps=0.0, seed=0):
        targets = [-1] * len(label) if target is None else target.tolist()
        return [
            Attempt(
                classifier, attack, image, int(one), aimed, eps=eps, key=tuple(key(seed, f"picture {place}", "test"))
            )
            for place, (image, one, aimed) in enumerate(zip(images, label, targets, strict=True))
        ]

    return make
