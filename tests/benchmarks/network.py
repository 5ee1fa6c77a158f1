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


def request_of(options):
    """Say which network the options mean."""
    mean, std = (tuple(given) if given else None for given in (options.mean, options.std))
    return ModelRequest(options.model, arch=options.arch, mean=mean, std=std)


def loaded(options):
    """Load the network for us and for the libraries, and images with their labels."""
    request = request_of(options)
    classifier = Classifier(*load_network(request), precision=options.precision)
    return classifier, Plain(request).eval(), *pictures(classifier, options.data, options.images)
