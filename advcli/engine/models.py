"""Questions about a model alone, without images."""

from advcli.models.classifier import Classifier
from advcli.models.layers import Layer, spatial_layers
from advcli.models.loading import ModelRequest, load_network


def layers(request: ModelRequest) -> list[Layer]:
    """List the layers of a model that a map can be read from, see ``spatial_layers``."""
    network, card = load_network(request)
    return spatial_layers(Classifier(network, card))
