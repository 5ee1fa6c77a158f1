"""Explanations of photographs by ResNet-18, ours and captum's, in turn in one process; prints ratios, asserts nothing.

    python -m tests.benchmarks.explain [--images 1] [--rounds 5] [--photos FOLDER] [--only NAME]

The network has random weights, in fp32, on as many threads as torch takes. Without --photos the pictures are
scikit-image's photographs. captum is called with its defaults; where that is one batch of all steps, also with the
chunk of 8 that suits it best. A ratio above 1 says how many times faster we are.
"""

import argparse
import statistics
import time
from pathlib import Path

import captum.attr
import numpy as np
import torch
import torchvision
from PIL import Image

from advcli.attributions._run import Request, explain_batch
from advcli.core.scores import Target
from advcli.models.card import Card, Preprocessing
from advcli.models.classifier import Classifier
from advcli.models.layers import pick_layer
from advcli.registry import parse_methods

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Plain(torch.nn.Module):
    """The network as a user of a library would wrap it: normalization inside, nothing folded."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, x):
        return self.network((x - self.mean) / self.std)


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torchvision.models.resnet18(weights=None).eval()


def photographs(count, folder):
    if folder is None:
        from skimage import data

        sources = [data.chelsea(), data.coffee(), data.rocket(), data.astronaut()]
    else:
        sources = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir()) if path.is_file()]
    pictures = []
    for place in range(count):
        source = sources[place % len(sources)]
        edge = min(source.shape[:2])
        square = Image.fromarray(source[:edge, :edge]).resize((224, 224), Image.Resampling.BILINEAR)
        pictures.append(torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).float() / 255)
    return torch.stack(pictures)


def contests(images):
    plain = Plain(network())
    names = tuple(str(place) for place in range(1000))
    card = Card(
        "resnet18", "torchvision:resnet18", "random", names, Preprocessing((224, 224), 256, "bilinear", MEAN, STD)
    )
    classifier = Classifier(network(), card, block=1 if len(images) < 16 else 16)
    labels = classifier.logits(images).argmax(1)
    digests = [str(place) for place in range(len(images))]
    layer = pick_layer(classifier, None)

    def ours(*texts):
        methods = parse_methods("attribution", texts, "--method")
        requests = [Request(method, Target(labels), (layer,)) for method in methods]
        return lambda: explain_batch(classifier, images, requests, seed=0, digests=digests)

    integrated = captum.attr.IntegratedGradients(plain)
    saliency = captum.attr.Saliency(plain)
    noisy = captum.attr.NoiseTunnel(saliency)
    sigma = 0.15 * float(images.max() - images.min())
    smooth = {"target": labels, "nt_samples": 25, "stdevs": sigma, "abs": False}

    def smooth_8():
        return noisy.attribute(images, nt_samples_batch_size=8, **smooth)

    def three():
        leaf = images.clone().requires_grad_()
        saliency.attribute(leaf, target=labels, abs=False)
        captum.attr.InputXGradient(plain).attribute(leaf, target=labels)
        captum.attr.LayerGradCam(plain, plain.network.layer4).attribute(images, target=labels)

    yield "ig-50 / captum", ours("integrated-gradients"), lambda: integrated.attribute(images, target=labels)
    chunks = {"target": labels, "internal_batch_size": 8}
    yield "ig-50 / captum in 8s", ours("integrated-gradients"), lambda: integrated.attribute(images, **chunks)
    yield "smoothgrad-25 / captum", ours("smoothgrad"), lambda: noisy.attribute(images, **smooth)
    yield "smoothgrad-25 / captum in 8s", ours("smoothgrad"), smooth_8
    occluded = {"sliding_window_shapes": (3, 32, 32), "strides": (3, 16, 16), "baselines": 0.5, "target": labels}
    occlusion = captum.attr.Occlusion(plain)

    def occlusion_16():
        return occlusion.attribute(images, perturbations_per_eval=16, **occluded)

    yield "occlusion 32/16 / captum", ours("occlusion"), lambda: occlusion.attribute(images, **occluded)
    yield "occlusion 32/16 / captum in 16s", ours("occlusion"), occlusion_16
    yield "rise-500 / its authors' way", ours("rise:masks=500"), plain_rise(plain, images, labels)
    yield "gradient / captum", ours("gradient"), lambda: saliency.attribute(images, target=labels, abs=False)
    yield "gradient, input-x, cam / captum", ours("gradient", "input-x-gradient", "grad-cam"), three


def plain_rise(network, images, labels, count=500, chunk=100):
    """RISE as its authors' code does it, drawing included: the masks of one image at a time, in chunks."""

    def run():
        maps = []
        for image, label in zip(images, labels, strict=True):
            total = torch.zeros(224, 224)
            for _ in range(0, count, chunk):
                grids = (torch.rand(chunk, 1, 7, 7) < 0.5).float()
                large = torch.nn.functional.interpolate(grids, (256, 256), mode="bilinear", align_corners=False)
                moves = torch.randint(0, 32, (chunk, 2)).tolist()
                masks = torch.stack(
                    [one[:, y : y + 224, x : x + 224] for one, (y, x) in zip(large, moves, strict=True)]
                )
                with torch.no_grad():
                    scores = network(image * masks).softmax(1)[:, label]
                total += (scores[:, None, None] * masks[:, 0]).sum(0)
            maps.append(total / count / 0.5)
        return torch.stack(maps)

    return run


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    images = photographs(chosen.images, chosen.photos)
    print(f"{len(images)} photographs, {torch.get_num_threads()} threads, medians of {chosen.rounds} rounds")
    for name, mine, other in contests(images):
        if chosen.only in name:
            mine(), other()
            rounds = [(timed(mine), timed(other)) for _ in range(chosen.rounds)]
            a, b = (statistics.median(one[side] for one in rounds) for side in (0, 1))
            ratio = statistics.median(one[1] / one[0] for one in rounds)
            best = min(one[1] for one in rounds) / min(one[0] for one in rounds)
            print(f"{name:32} {a:8.3f} s {b:8.3f} s   {ratio:6.2f} times, of the best rounds {best:.2f}", flush=True)


if __name__ == "__main__":
    main()
