"""The same work, ours and the libraries', in turn in one process; prints medians and ratios, asserts nothing.

    python tests/benchmarks/against_libraries.py [--images 128] [--rounds 5] [--data FOLDER]

The network is the built-in one, in fp32, on as many threads as torch takes. Without --data the pictures are cut out of
scikit-image's photographs. A ratio above 1 says how many times faster we are. Attacks stop at the first success, as on
the command line; the libraries have no such thing and make all their steps; both reach the same robust accuracy, which
is printed too.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from advcli.attacks.fgsm import Fgsm
from advcli.attacks.pgd import Pgd
from advcli.attributions.grad_cam import grad_cam
from advcli.attributions.gradient import gradient
from advcli.attributions.integrated_gradients import integrated_gradients
from advcli.core.randomness import key
from advcli.core.scores import Target
from advcli.images.datasets import load_labelled
from advcli.models.classifier import Classifier
from advcli.models.layers import pick_layer
from advcli.models.loading import ModelRequest, load_network
from advcli.models.view import View
from advcli.search.attempt import Attempt
from advcli.search.flow import drive

EPS = 8 / 255


class Plain(torch.nn.Module):
    """The network as a user of a library would wrap it: normalization inside, nothing folded, nothing frozen."""

    def __init__(self):
        super().__init__()
        self.network, self.card = load_network(ModelRequest())
        how = self.card.preprocessing
        self.register_buffer("mean", torch.tensor(how.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(how.std).view(1, 3, 1, 1))

    def forward(self, x):
        return self.network((x - self.mean) / self.std)


def pictures(count, folder):
    if folder is not None:
        found = load_labelled([folder], 32)
        order = np.random.default_rng(0).permutation(len(found))[:count]
        return torch.from_numpy(found.images[order]).permute(0, 3, 1, 2).float() / 255
    from PIL import Image
    from skimage import data

    rng = np.random.default_rng(0)
    sources = [data.chelsea(), data.coffee(), data.rocket(), data.astronaut()]
    cut = []
    for place in range(count):
        source = sources[place % 4]
        edge = int(rng.integers(96, 300))
        top, left = (int(rng.integers(0, side - edge + 1)) for side in source.shape[:2])
        square = Image.fromarray(source[top : top + edge, left : left + edge]).resize(
            (32, 32), Image.Resampling.BILINEAR
        )
        cut.append(np.asarray(square))
    return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 255


def ours(attack, classifier, images, labels):
    attempts = [
        Attempt(classifier, attack, images[place], int(labels[place]), eps=EPS, key=key(0, str(place), "benchmark"))
        for place in range(len(images))
    ]
    return lambda: statistics.mean(not one.reached_as_saved for one in drive(attempts, batch_size=128))


def theirs(attack, model, images, labels):
    return lambda: float((model(attack(images, labels)).argmax(1) == labels).float().mean())


def foolboxed(attack, model, images, labels):
    import foolbox

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")

    def run():
        _, clipped, _ = attack(wrapped, images, labels, epsilons=EPS)
        return float((model(clipped).argmax(1) == labels).float().mean())

    return run


def contests(images, classifier, plain):
    import captum.attr
    import foolbox
    import pytorch_grad_cam
    import torchattacks
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    labels = classifier.logits(images).argmax(1)
    target, layer = Target(labels), pick_layer(classifier, None)
    targets = [ClassifierOutputTarget(int(label)) for label in labels]
    step = EPS / 4
    pgd = Pgd(steps=40, step_size=step)
    cam = pytorch_grad_cam.GradCAM(plain, [plain.network.layer3])
    yield (
        "FGSM / torchattacks",
        ours(Fgsm(), classifier, images, labels),
        theirs(torchattacks.FGSM(plain, EPS), plain, images, labels),
    )
    yield (
        "PGD-40 / torchattacks",
        ours(pgd, classifier, images, labels),
        theirs(torchattacks.PGD(plain, EPS, step, 40), plain, images, labels),
    )
    yield (
        "PGD-40 / foolbox",
        ours(pgd, classifier, images, labels),
        foolboxed(foolbox.attacks.LinfPGD(abs_stepsize=step, steps=40), plain, images, labels),
    )
    yield (
        "gradient / captum",
        lambda: gradient(View(classifier, images), target),
        lambda: captum.attr.Saliency(plain).attribute(images, target=labels, abs=False),
    )
    yield (
        "integrated gradients / captum",
        lambda: integrated_gradients(View(classifier, images), target, steps=50),
        lambda: captum.attr.IntegratedGradients(plain).attribute(
            images, target=labels, n_steps=50, internal_batch_size=64
        ),
    )
    yield (
        "Grad-CAM / pytorch-grad-cam",
        lambda: grad_cam(View(classifier, images, watch=[layer.name]), target, layer=layer),
        lambda: cam(images, targets),
    )
    yield (
        "Grad-CAM / captum",
        lambda: grad_cam(View(classifier, images, watch=[layer.name]), target, layer=layer),
        lambda: captum.attr.LayerGradCam(plain, plain.network.layer3).attribute(images, target=labels),
    )


def timed(work):
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path)
    chosen = parser.parse_args()
    images = pictures(chosen.images, chosen.data)
    plain = Plain().eval()
    network, card = load_network(ModelRequest())
    classifier = Classifier(network, card)
    print(f"{len(images)} images, {torch.get_num_threads()} threads, median of {chosen.rounds} rounds")
    for name, mine, other in contests(images, classifier, plain):
        mine(), other()
        rounds = [(timed(mine), timed(other)) for _ in range(chosen.rounds)]
        a, b = (statistics.median(one[side][0] for one in rounds) for side in (0, 1))
        ratio = statistics.median(one[1][0] / one[0][0] for one in rounds)
        answers = [one if isinstance(one, float) else None for one in (rounds[0][0][1], rounds[0][1][1])]
        robust = f"  robust {answers[0]:.3f} and {answers[1]:.3f}" if None not in answers else ""
        print(f"{name:32} {a:8.3f} s {b:8.3f} s   {ratio:6.2f} times{robust}", flush=True)


if __name__ == "__main__":
    main()
