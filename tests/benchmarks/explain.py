"""Explanations of photographs by ResNet-18, ours and those of libraries, in turn in one process; asserts nothing.

    python -m tests.benchmarks.explain [--images 1] [--rounds 5] [--photos FOLDER] [--only NAME] [--cpu-time]
    python -m tests.benchmarks.explain --memory

The network has random weights. Without --photos the pictures are scikit-image's photographs. captum and pytorch-grad-
cam compute in fp32 with their defaults; where that is one batch of all steps, captum also with the chunk of 8 that
suits it best, and with chunks alone where it would be more than 128 photographs at once. A ratio says how many times
faster we are, in fp32 and in bf16, and a rank correlation (Spearman) how alike our maps of the two are: the lowest and
the mean over the photographs. A method that keeps fp32 in a run in bf16 has "kept" in place of the ratio, and its
correlation is that which bf16 would have had. --memory prints the largest resident set of a process that explains with
few and with many steps, masks or photographs.
"""

import argparse
import dataclasses
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import captum.attr
import numpy as np
import pytorch_grad_cam
import torch
import torchvision
from PIL import Image
from scipy.stats import spearmanr

from advcli.attributions import _run
from advcli.attributions._run import Request, explain_batch, traits_of
from advcli.core.scores import Target
from advcli.models.card import Card, Preprocessing
from advcli.models.classifier import Classifier
from advcli.models.layers import pick_layer
from advcli.registry import parse_methods

MOST = 128  # photographs with their gradients at once, some 8 GB
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


class Ours:
    """Our explanations of some photographs, in both precisions."""

    def __init__(self, images):
        names = tuple(str(place) for place in range(1000))
        card = Card(
            "resnet18", "torchvision:resnet18", "random", names, Preprocessing((224, 224), 256, "bilinear", MEAN, STD)
        )
        block = 1 if len(images) < 16 else 16
        self.images = images
        self.classifiers = {
            precision: Classifier(network(), card, block=block, precision=precision) for precision in ("fp32", "bf16")
        }
        self.labels = self.classifiers["fp32"].logits(images).argmax(1)
        self.layer = pick_layer(self.classifiers["fp32"], None)

    def explain(self, texts, precision):
        methods = parse_methods("attribution", texts, "--method")
        requests = [Request(method, Target(self.labels), (self.layer,)) for method in methods]
        digests = [str(place) for place in range(len(self.images))]
        return explain_batch(self.classifiers[precision], self.images, requests, seed=0, digests=digests)

    def keeps_fp32(self, texts):
        return any(traits_of(method).fp32 for method in parse_methods("attribution", texts, "--method"))

    def rank_correlations(self, texts):
        """Of each photograph's maps in bf16 and in fp32, also of a method that would keep fp32."""
        exact = self.explain(texts, "fp32")
        with mock.patch.object(_run, "traits_of", lambda method: dataclasses.replace(traits_of(method), fp32=False)):
            low = self.explain(texts, "bf16")
        pairs = [pair for one, other in zip(exact, low, strict=True) for pair in zip(one.maps, other.maps, strict=True)]
        return [float(spearmanr(one.ravel(), other.ravel()).statistic) for one, other in pairs]


def contests(images, labels):
    """Name, our methods, and what a library does for the same."""
    plain = Plain(network())
    integrated = captum.attr.IntegratedGradients(plain)
    saliency = captum.attr.Saliency(plain)
    noisy = captum.attr.NoiseTunnel(saliency)
    smooth = {"target": labels, "nt_samples": 25, "stdevs": 0.15 * float(images.max() - images.min()), "abs": False}
    occlusion = captum.attr.Occlusion(plain)
    occluded = {"sliding_window_shapes": (3, 32, 32), "strides": (3, 16, 16), "baselines": 0.5, "target": labels}
    cam = captum.attr.LayerGradCam(plain, plain.network.layer4)
    guided = captum.attr.GuidedBackprop(Plain(network()))
    targets = [pytorch_grad_cam.utils.model_targets.ClassifierOutputTarget(label) for label in labels.tolist()]
    other_cam = pytorch_grad_cam.GradCAM(plain, [plain.network.layer4])
    other_guided = pytorch_grad_cam.GuidedBackpropReLUModel(Plain(network()), "cpu")

    def three():
        leaf = images.clone().requires_grad_()
        saliency.attribute(leaf, target=labels, abs=False)
        captum.attr.InputXGradient(plain).attribute(leaf, target=labels)
        cam.attribute(images, target=labels)

    def resized_cam():
        found = cam.attribute(images, target=labels, relu_attributions=True)
        captum.attr.LayerAttribution.interpolate(found, (224, 224), "bilinear")

    def guided_one_by_one():
        for image, label in zip(images, labels.tolist(), strict=True):
            other_guided(image[None], label)

    ig, sg, oc = ["integrated-gradients"], ["smoothgrad"], ["occlusion"]
    chunk = max(8, len(images))  # rows: captum shows all photographs at once at least
    if 50 * len(images) <= MOST:
        yield "ig-50 / captum", ig, lambda: integrated.attribute(images, target=labels)
        yield "smoothgrad-25 / captum", sg, lambda: noisy.attribute(images, **smooth)
    else:
        print(f"captum's defaults, which show {50 * len(images)} photographs at once, would need more memory: left out")
    yield (
        f"ig-50 / captum in {chunk}s",
        ig,
        lambda: integrated.attribute(images, target=labels, internal_batch_size=chunk),
    )
    yield (
        f"smoothgrad-25 / captum in {chunk}s",
        sg,
        lambda: noisy.attribute(images, nt_samples_batch_size=chunk // len(images), **smooth),
    )
    yield "occlusion 32/16 / captum", oc, lambda: occlusion.attribute(images, **occluded)
    yield (
        "occlusion 32/16 / captum in 16s",
        oc,
        lambda: occlusion.attribute(images, perturbations_per_eval=16, **occluded),
    )
    yield "rise-500 / its authors' way", ["rise:masks=500"], plain_rise(plain, images, labels)
    yield "gradient / captum", ["gradient"], lambda: saliency.attribute(images, target=labels, abs=False)
    yield "grad-cam / captum", ["grad-cam"], resized_cam
    yield "grad-cam / pytorch-grad-cam", ["grad-cam"], lambda: other_cam(images, targets)
    yield "guided backprop / captum", ["guided-backprop"], lambda: guided.attribute(images, target=labels)
    yield "guided backprop / pytorch-grad-cam", ["guided-backprop"], guided_one_by_one
    yield "gradient, input-x, cam / captum", ["gradient", "input-x-gradient", "grad-cam"], three


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


def compare(name, ours, texts, other, rounds, clock):
    """Print the medians of our two precisions and of the library, the ratios, and how alike the precisions are."""

    def timed(work):
        began = clock()
        work()
        return clock() - began

    kept = ours.keeps_fp32(texts)
    works = [lambda: ours.explain(texts, "fp32"), other, *([] if kept else [lambda: ours.explain(texts, "bf16")])]
    for work in works:
        work()
    rows = [[timed(work) for work in works] for _ in range(rounds)]
    ratios = [f"{statistics.median(row[1] / row[place] for row in rows):.2f}" for place in range(0, len(works), 2)]
    seconds = [statistics.median(row[place] for row in rows) for place in (0, 1)]
    alike = ours.rank_correlations(texts)
    print(
        f"{name:36} {seconds[0]:8.3f} {seconds[1]:8.3f} {ratios[0]:>6} {'kept' if kept else ratios[1]:>6}"
        f"   {min(alike):.4f} {statistics.mean(alike):.4f}",
        flush=True,
    )


MANY = {  # few and many: the method, and how many photographs
    "steps": (("integrated-gradients:steps=16", 1), ("integrated-gradients:steps=160", 1)),
    "samples": (("smoothgrad:samples=16", 1), ("smoothgrad:samples=160", 1)),
    "windows": (("occlusion:stride=32", 1), ("occlusion:stride=11", 1)),
    "masks": (("rise:masks=32", 1), ("rise:masks=320", 1)),
    "photographs": (("gradient", 16), ("gradient", 64)),
}


def memory():
    """Print the largest resident set for few and for many of each, every one in a process of its own."""
    for name, (few, many) in MANY.items():
        sizes = []
        for text, count in (few, many):
            asked = [sys.executable, "-m", "tests.benchmarks.explain", "--peak", text, "--images", str(count)]
            sizes.append(int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout))
        print(f"{name:12} {few[0]} x {few[1]}: {sizes[0]} MiB   {many[0]} x {many[1]}: {sizes[1]} MiB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="time of the processor, for a busy machine; one thread")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peak", metavar="METHOD", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.memory:
        return memory()
    if chosen.threads or chosen.cpu_time:
        torch.set_num_threads(chosen.threads or 1)
    images = photographs(chosen.images, chosen.photos)
    ours = Ours(images)
    if chosen.peak:
        ours.explain([chosen.peak], "fp32")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return None
    print(f"{len(images)} photographs, {torch.get_num_threads()} threads, medians of {chosen.rounds} rounds")
    print(f"{'ours / the other':36} {'ours s':>8} {'other s':>8} {'fp32':>6} {'bf16':>6}   bf16 ~ fp32: lowest, mean")
    for name, texts, other in contests(images, ours.labels):
        if chosen.only in name:
            compare(
                name, ours, texts, other, chosen.rounds, time.process_time if chosen.cpu_time else time.perf_counter
            )
    return None


if __name__ == "__main__":
    main()
