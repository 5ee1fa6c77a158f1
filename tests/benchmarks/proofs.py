"""DeepFool, JSMA and Square against the libraries, in turn in one process; prints medians and ratios, asserts nothing.

    python -m tests.benchmarks.proofs [--model NAME] [--data FOLDER] [--images 64] [--rounds 3] [--only NAME ...]

A ratio above 1 says how many times faster ours is. The network is the built-in one, in fp32, on as many threads as
torch takes, and only images that it classifies right, or whatever it says without --data, are attacked. foolbox has
neither JSMA nor Square; adversarial-robustness-toolbox is left out where it is not installed.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from advcli.attacks.deepfool import DeepFool
from advcli.attacks.jsma import Jsma
from advcli.attacks.square import Square
from advcli.core.attack import Traits
from advcli.core.randomness import key
from advcli.images.datasets import load_labelled
from advcli.images.reading import decode, read_bytes
from advcli.images.samples import samples
from advcli.models.classifier import Classifier
from advcli.models.loading import ModelRequest, load_network
from advcli.search.attempt import Attempt
from advcli.search.flow import drive

warnings.filterwarnings("ignore")  # of the libraries: they are measured, not mended


class Plain(torch.nn.Module):
    """The network as a user of a library wraps it: normalization inside, nothing folded, nothing frozen."""

    def __init__(self, request):
        super().__init__()
        self.network, self.card = load_network(request)
        how = self.card.preprocessing
        self.register_buffer("mean", torch.tensor(how.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(how.std).view(1, 3, 1, 1))

    def forward(self, x):
        return self.network((x - self.mean) / self.std)


@dataclass(frozen=True)
class Work:
    """What all contests share."""

    classifier: Classifier
    plain: torch.nn.Module
    images: torch.Tensor
    labels: torch.Tensor
    rounds: int
    clock: Callable[[], float]

    def attempts(self, attack, count, target=None, eps=0.0):
        targets = [-1] * count if target is None else target.tolist()
        return [
            Attempt(self.classifier, attack, self.images[place], int(self.labels[place]), targets[place], eps=eps,
                    key=tuple(key(0, str(place), "benchmark")))
            for place in range(count)
        ]  # fmt: skip


def pictures(classifier, folder, count):
    """Images on the grid with the labels that the network gives them; of a folder only those that it gets right."""
    size = classifier.card.preprocessing.size[0]
    if folder is not None:
        found = load_labelled([folder], size)
        order = np.random.default_rng(0).permutation(len(found))
        images = torch.from_numpy(found.images[order]).permute(0, 3, 1, 2).float() / 255
        labels = torch.from_numpy(found.labels[order])
        right = torch.cat([classifier.logits(part).argmax(1) for part in images.split(256)]) == labels
        return images[right][:count].contiguous(), labels[right][:count]  # torchattacks' FAB takes no other memory
    from PIL import Image

    rng, cut = np.random.default_rng(0), []
    sources = [np.asarray(decode(read_bytes(one.location), one.path)) for one in samples()]
    for place in range(count):
        source = sources[place % len(sources)]
        edge = int(rng.integers(96, 300))
        top, left = (int(rng.integers(0, side - edge + 1)) for side in source.shape[:2])
        square = Image.fromarray(source[top : top + edge, left : left + edge]).resize((size, size))
        cut.append(np.asarray(square))
    images = torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float().contiguous() / 255
    return images, classifier.logits(images).argmax(1)


def timed(work, clock):
    began = clock()
    answer = work()
    return clock() - began, answer


def contest(name, ours, theirs, work, scale=1.0, rounds=None):
    """Take turns; print medians and the median ratio. Theirs may do one ``scale``-th of the work."""
    ours()  # warm
    turns = [(timed(ours, work.clock), timed(theirs, work.clock)) for _ in range(rounds or work.rounds)]
    mine = statistics.median(one[0][0] for one in turns)
    other = statistics.median(one[1][0] for one in turns) * scale
    ratio = statistics.median(one[1][0] * scale / one[0][0] for one in turns)
    print(f"{name:44} {mine:8.3f} s {other:9.3f} s {ratio:8.2f} times", flush=True)
    return turns[0][0][1], turns[0][1][1]


def cost(outcomes):
    names = ("forward_passes", "backward_passes", "verification_passes")
    means = (statistics.mean(getattr(outcome, name) for outcome in outcomes) for name in names)
    return "{:.2f} forward, {:.2f} backward, {:.2f} verification passes an image".format(*means)


def deepfool(work):
    import foolbox

    images, labels = work.images, work.labels
    model = foolbox.PyTorchModel(work.plain, bounds=(0, 1), device="cpu")
    for norm, order in (("l2", 2.0), ("linf", float("inf"))):
        reference = foolbox.attacks.L2DeepFoolAttack() if norm == "l2" else foolbox.attacks.LinfDeepFoolAttack()
        attempts = work.attempts(DeepFool(norm=norm), len(images))
        ours, theirs = contest(
            f"deepfool {norm}, {len(images)} images / foolbox",
            lambda: drive(attempts),  # noqa: B023  called in this round
            lambda: reference(model, images, labels, epsilons=None)[1],  # noqa: B023
            work,
        )
        mine = torch.tensor([outcome.distance for outcome in ours])
        other = (theirs - images).flatten(1).norm(p=order, dim=1)
        saved = torch.stack([outcome.saved for outcome in ours])
        fools = int((work.plain(saved).argmax(1) != labels).sum())
        print(f"    median {norm} {mine.median():.6f} and {other.median():.6f}; {cost(ours)}")
        print(f"    {sum(outcome.reached_as_saved for outcome in ours)} counted as saved, {fools} do fool")


def jsma(work, few=2):
    import torchattacks

    images, labels = work.images, work.labels
    target = (labels + 1) % len(work.classifier.card.classes)
    attempts = work.attempts(Jsma(), len(images), target)
    if find_spec("art"):
        from art.attacks.evasion import SaliencyMapMethod
        from art.estimators.classification import PyTorchClassifier

        wrapped = PyTorchClassifier(
            work.plain, torch.nn.CrossEntropyLoss(), tuple(images.shape[1:]), len(work.classifier.card.classes),
            clip_values=(0, 1), device_type="cpu",
        )  # fmt: skip
        reference = SaliencyMapMethod(wrapped, theta=1.0, gamma=0.145, batch_size=64, verbose=False)
        ours, theirs = contest(
            f"jsma, {len(images)} images in batches of 64 / ART",
            lambda: drive(attempts, batch_size=64),
            lambda: reference.generate(images.numpy(), target.numpy()),
            work,
        )
        theirs = torch.from_numpy(theirs)
        mine = torch.tensor([outcome.distance for outcome in ours])
        other = (theirs != images).flatten(1).sum(1).float()
        hits = int((work.plain(theirs).argmax(1) == target).sum())
        print(f"    reached {sum(outcome.reached for outcome in ours)} and {hits}; median l0 {mine.median():.0f} and "
              f"{other.median():.0f}; {cost(ours)}")  # fmt: skip
    slow = torchattacks.JSMA(work.plain, theta=1.0, gamma=0.145)
    slow.set_mode_targeted_by_label(quiet=True)
    contest(
        f"jsma / torchattacks ({few} images, scaled)",
        lambda: drive(attempts, batch_size=64),
        lambda: slow(images[:few], target[:few]),
        work,
        len(images) / few,
        rounds=1,
    )


@dataclass(frozen=True)
class Beginning(Square):
    """The first proposals of a search with the default settings."""

    proposals: int = 120

    def steps_for(self, rows):
        return torch.full_like(rows.label, self.proposals)


@dataclass(frozen=True)
class OneByOne:
    """The same without speculation: a step looks at one proposal of each row."""

    traits: ClassVar[Traits] = Traits(norms=("linf",), needs="scores", cost=(1, 0))

    square: Square

    def steps_for(self, rows):
        return self.square.steps_for(rows)

    def start(self, rows):
        self.square.start(rows)
        rows.base = rows.adversarial

    def step(self, rows, logits, model):
        before = rows.margin
        accepted = self.square.accept(rows, rows.adversarial, logits)
        rows.margin = torch.where(accepted, rows.margin, before)
        rows.base = torch.where(accepted.view(-1, 1, 1, 1), rows.adversarial, rows.base)
        rows.adversarial = rows.base
        rows.adversarial = self.square.propose(rows)


def square(work, eps=0.5 / 255):
    """In a ball so small that no search ends early: both make the same number of queries."""
    import torchattacks

    attempts, slow = (work.attempts(attack, 1, eps=eps) for attack in (Beginning(), OneByOne(Beginning())))
    ours, _ = contest("square, 1 image, 120 queries / one by one", lambda: drive(attempts), lambda: drive(slow), work)
    print(f"    {cost(ours)}")
    for count, queries in ((1, 400), (64, 100)):
        images, labels = work.images[:count], work.labels[:count]
        attempts = work.attempts(Square(steps=queries, rescale_schedule=False), len(images), eps=eps)
        reference = torchattacks.Square(work.plain, eps=eps, n_queries=queries, loss="margin")
        reference.rescale_schedule = False
        ours, _ = contest(
            f"square, {count} images, {queries} queries / torchattacks",
            lambda: drive(attempts),  # noqa: B023
            lambda: reference(images, labels),  # noqa: B023
            work,
        )
        print(f"    {cost(ours)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=ModelRequest().name)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true", help="of the process, for a machine that does other work")
    parser.add_argument("--only", nargs="*", choices=("deepfool", "jsma", "square"))
    chosen = parser.parse_args()
    request = ModelRequest(chosen.model)
    classifier, plain = Classifier(*load_network(request)), Plain(request).eval()
    images, labels = pictures(classifier, chosen.data, max(64, chosen.images))
    clock = time.process_time if chosen.cpu_time else time.perf_counter
    work = Work(classifier, plain, images, labels, chosen.rounds, clock)
    print(f"{len(images)} images, {torch.get_num_threads()} threads, median of {chosen.rounds} rounds: ours, theirs")
    for measure in (deepfool, jsma, square):
        if not chosen.only or measure.__name__ in chosen.only:
            measure(work)


if __name__ == "__main__":
    main()
