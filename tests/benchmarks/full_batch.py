"""PGD-10 without early exit on a full batch, ours against torchattacks, in turn in one process; asserts nothing.

    python tests/benchmarks/full_batch.py [--images 256] [--rounds 5] [--steps 10] [--data FOLDER] [--threads N] [--cpu]

The network is the built-in one. torchattacks runs it as a user would wrap it, normalization inside, in fp32. Ours runs
with fp32 and with bf16 (where the search is in bf16 and what is claimed is verified in fp32). Without --data the
pictures are noise. A ratio above 1 says how many times faster we are; the median of the rounds' ratios is printed.
--cpu counts processor time instead of time, for a busy machine.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
import torchattacks

from advcli.attacks.pgd import Pgd
from advcli.core.randomness import key
from advcli.models.classifier import Classifier
from advcli.models.loading import ModelRequest, load_network
from advcli.search.attempt import Attempt
from advcli.search.flow import drive

EPS = 8 / 255


class Plain(torch.nn.Module):
    """The network as a user of a library would wrap it: normalization inside, nothing folded."""

    def __init__(self):
        super().__init__()
        self.network, self.card = load_network(ModelRequest())
        how = self.card.preprocessing
        self.register_buffer("mean", torch.tensor(how.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(how.std).view(1, 3, 1, 1))

    def forward(self, x):
        return self.network((x - self.mean) / self.std)


def pictures(count, folder):
    if folder is None:
        return (torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255).round() / 255
    from PIL import Image

    files = sorted(folder.rglob("*.png"))[:: max(1, len(list(folder.rglob("*.png"))) // count)][:count]
    read = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    return torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2).float() / 255


def timed(work, clock):
    began = clock()
    answer = work()
    return clock() - began, answer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cpu", action="store_true")
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    clock = time.process_time if chosen.cpu else time.perf_counter
    images = pictures(chosen.images, chosen.data)
    plain = Plain().eval()
    labels = plain(images).argmax(1)
    theirs = torchattacks.PGD(plain, EPS, EPS / 4, chosen.steps)
    attack = Pgd(steps=chosen.steps, step_size=EPS / 4)
    print(f"{len(images)} images, {torch.get_num_threads()} threads, median of {chosen.rounds} rounds")
    for precision in ("fp32", "bf16"):
        classifier = Classifier(*load_network(ModelRequest()), precision=precision)
        attempts = [
            Attempt(classifier, attack, images[k], int(labels[k]), eps=EPS, key=key(0, str(k), "benchmark"))
            for k in range(len(images))
        ]

        def ours(attempts=attempts):
            return drive(attempts, batch_size=len(attempts), early_exit=False)

        ours(), theirs(images, labels)
        rounds = [(timed(ours, clock), timed(lambda: theirs(images, labels), clock)) for _ in range(chosen.rounds)]
        mine, other = (statistics.median(one[side][0] for one in rounds) for side in (0, 1))
        ratio = statistics.median(one[1][0] / one[0][0] for one in rounds)
        found = rounds[-1][0][1]
        robust = sum(not one.reached_as_saved for one in found) / len(found)
        robust_theirs = float((plain(rounds[-1][1][1]).argmax(1) == labels).float().mean())
        verified = statistics.mean(one.verification_passes for one in found)
        print(
            f"{precision}: {mine:.3f} s, torchattacks {other:.3f} s, {ratio:.2f} times; robust {robust:.3f} and "
            f"{robust_theirs:.3f}; {verified:.2f} verification passes an image",
            flush=True,
        )


if __name__ == "__main__":
    main()
