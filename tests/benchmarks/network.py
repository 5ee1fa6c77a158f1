"""The network and the images of a benchmark, as options."""

from pathlib import Path

from advcli.models.classifier import Classifier
from advcli.models.loading import ModelRequest, load_network
from tests.benchmarks.proofs import Plain, pictures


def add_network(parser, images):
    """Add the options that say which network is attacked, on how many images of which folder."""
    parser.add_argument("--model", default="cifar10-resnet20")
    parser.add_argument("--arch")
    parser.add_argument("--mean", type=float, nargs=3)
    parser.add_argument("--std", type=float, nargs=3)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=images)


def loaded(options):
    """Load the network for us and for the libraries, and images with their labels."""
    mean, std = (tuple(given) if given else None for given in (options.mean, options.std))
    request = ModelRequest(options.model, arch=options.arch, mean=mean, std=std)
    network, card = load_network(request)
    classifier, plain = Classifier(network, card, precision=options.precision), Plain(request).eval()
    return classifier, plain, *pictures(classifier, options.data, options.images)
