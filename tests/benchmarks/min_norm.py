"""Minimum-norm attacks against foolbox's at an equal number of passes: median norms; asserts nothing.

    python -m tests.benchmarks.min_norm [--queries 1000] [--images 64] [--norm l0 l1 l2 linf] [--data FOLDER]

A step of a gradient attack costs a forward and a backward pass, so 1,000 queries are 500 steps. Distances are of the
float points, which foolbox alone knows, and of the eight-bit pictures; ``as saved`` is the share of pictures that fool.
foolbox's failures count as infinitely far. Labels are what the network says, or with --data what is right.
"""

import argparse
import warnings
from pathlib import Path

import torch

from advcli.attacks.cw import Cw
from advcli.attacks.ddn import Ddn
from advcli.attacks.fmn import Fmn
from advcli.attacks.hopskipjump import HopSkipJump
from advcli.attacks.sigma_zero import SigmaZero
from advcli.core.norms import BALLS
from advcli.core.randomness import key
from advcli.models.classifier import Classifier
from advcli.models.loading import ModelRequest, load_network
from advcli.search.attempt import Attempt
from advcli.search.donors import donor_for
from advcli.search.flow import drive
from tests.benchmarks.proofs import Plain, pictures

warnings.filterwarnings("ignore")  # of foolbox: it is measured, not mended


def contests(queries):
    """Our attacks and foolbox's, by norm."""
    import foolbox.attacks as theirs

    steps = (queries - 1) // 2
    return {
        "l2": (
            {"ddn": Ddn(steps), "fmn": Fmn("l2", steps), "cw": Cw(initial_c=1.0, search_steps=5)},
            {"DDN": theirs.DDNAttack(steps=steps), "FMN": theirs.L2FMNAttack(steps=steps)},
        ),
        "linf": ({"fmn": Fmn("linf", steps)}, {"FMN": theirs.LInfFMNAttack(steps=steps)}),
        "l1": ({"fmn": Fmn("l1", steps)}, {"FMN": theirs.L1FMNAttack(steps=steps)}),
        "l0": (
            {"sigma-zero": SigmaZero(steps), "fmn": Fmn("l0", steps)},
            {"FMN": theirs.L0FMNAttack(steps=steps)},
        ),
        "labels": ({"hopskipjump": HopSkipJump()}, {"HSJ": theirs.HopSkipJumpAttack(steps=7)}),
    }


def ours(attack, classifier, images, labels, queries):
    attempts = []
    for place, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        keys = tuple(key(0, str(place), "benchmark"))
        donor = donor_for(classifier, label, -1, keys) if attack.traits.begins == "donor" else None
        attempts.append(Attempt(classifier, attack, image, label, key=keys, donor=donor))
    return drive(attempts, queries=queries)


def median(ball, pixels, images, good):
    return float(ball.size(pixels - images).float().where(good, torch.inf).median())


def report(norm, name, sizes, saved, fooling):
    print(f"{norm:7} {name:20} {sizes:9.4f} {saved:9.4f} {fooling:9.0%}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--model", default="cifar10-resnet20")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--norm", nargs="*", default=["l2", "linf", "l1", "l0"])
    options = parser.parse_args()
    import foolbox

    request = ModelRequest(options.model)
    classifier, plain = Classifier(*load_network(request)), Plain(request).eval()
    images, labels = pictures(classifier, options.data, options.images)
    model = foolbox.PyTorchModel(plain, bounds=(0, 1), device="cpu")
    print(
        f"norm    attack                  median  as saved    fooling; {len(images)} images, {options.queries} queries"
    )
    for norm in options.norm:
        mine, peers = contests(options.queries)[norm]
        ball = BALLS["l2" if norm == "labels" else norm]
        for name, attack in mine.items():
            outcomes = ours(attack, classifier, images, labels, options.queries)
            pixels, saved = (torch.stack([getattr(one, what) for one in outcomes]) for what in ("pixels", "saved"))
            good, kept = (
                torch.tensor([getattr(one, what) for one in outcomes]) for what in ("reached", "reached_as_saved")
            )
            report(
                norm, name, median(ball, pixels, images, good), median(ball, saved, images, kept), kept.float().mean()
            )
        for name, attack in peers.items():
            pixels, _, good = attack(model, images, labels, epsilons=None)
            saved = (pixels * 255).round() / 255
            kept = classifier.logits(saved).argmax(1) != labels
            report(
                norm, "foolbox " + name, median(ball, pixels, images, good), median(ball, saved, images, kept),
                kept.float().mean(),
            )  # fmt: skip


if __name__ == "__main__":
    main()
