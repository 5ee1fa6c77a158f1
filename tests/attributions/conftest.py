"""Networks of any input size, for attributions."""

import pytest

from advcli.models.card import Card, Preprocessing
from advcli.models.classifier import Classifier


@pytest.fixture(scope="session")
def make_classifier():
    """Wrap a network from pixels to two logits whose input has the given height and width."""

    def make(network, size, classes=2, **options):
        names = tuple(f"class {place}" for place in range(classes))
        return Classifier(network, Card("test", "custom", "test", names, Preprocessing(size, min(size))), **options)

    return make
