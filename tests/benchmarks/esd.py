"""Spectra against weightwatcher's own analyze(), in turn in one process; prints ratios, asserts nothing.

    python -m tests.benchmarks.esd [--rounds 5] [--course N]

One BLAS thread, CUDA hidden, random weights. A ratio is our time over the library's; ours holds the shuffled spectrum
of every layer, weights and biases, norms and the fingerprint besides. --course N analyzes N checkpoints of cifar-cnn8,
the library one after the other, ours with two jobs and all films, start-up included.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from advcli.spectra.pool import environment


def ratios(rounds):
    import torch
    import torchvision
    import weightwatcher

    from advcli.spectra.analysis import analyze

    torch.manual_seed(0)
    state = dict(torchvision.models.resnet18(weights=None).state_dict())
    analyze(state)
    measured = []
    for _ in range(rounds):
        times = []
        for work in (lambda: weightwatcher.WeightWatcher(model=dict(state)).analyze(), lambda: analyze(state)):
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
        measured.append(times)
    for place, name in enumerate(("wall", "cpu")):
        theirs, ours = (statistics.median(row[which][place] for row in measured) for which in (0, 1))
        ratio = statistics.median(row[1][place] / row[0][place] for row in measured)
        print(f"ResNet-18, {name}: weightwatcher {theirs:.2f} s, ours {ours:.2f} s, ratio {ratio:.2f}")


def pictures(rounds):
    import numpy as np

    from advcli.core.esd import EsdRecord
    from advcli.figures.esd_picture import esd_picture
    from advcli.images.writing import png_bytes

    values = np.random.default_rng(0).pareto(2.5, 4608) + 0.01
    record = EsdRecord(
        item="a", name="layer", shape=(512, 512, 3, 3), eigenvalues=4608, alpha=3.5, alpha_sigma=0.1, alpha_null=9.0,
        xmin=0.5, xmax=float(values.max()), D=0.1, reading="well trained", columns={"num_pl_spikes": 800.0},
    )  # fmt: skip
    times = []
    for _ in range(rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        png_bytes(esd_picture(record, values, values))
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall, cpu = (statistics.median(row[place] for row in times[1:]) for place in (0, 1))
    print(f"picture of a layer, drawn and encoded: {wall:.3f} s, cpu {cpu:.3f} s")


SERIAL = """
import sys, torch, weightwatcher
for path in sys.argv[1:]:
    weightwatcher.WeightWatcher(model=dict(torch.load(path, weights_only=True))).analyze()
"""


def course(count):
    import torch

    from advcli.models.architectures import ARCHITECTURES

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for epoch in range(1, count + 1):
            torch.manual_seed(epoch)
            paths.append(Path(folder) / "run" / f"epoch{epoch}.pt")
            paths[-1].parent.mkdir(exist_ok=True)
            torch.save(ARCHITECTURES["cifar-cnn8"].build(10).state_dict(), paths[-1])
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", SERIAL, *map(str, paths)], check=True, capture_output=True)
        middle = time.perf_counter()
        command = [sys.executable, "-m", "advcli", "esd", str(paths[0].parent), "--jobs", "2", "--out", f"{folder}/out"]
        subprocess.run(command, check=True, capture_output=True)
        theirs, ours = middle - began, time.perf_counter() - middle
    print(f"{count} checkpoints of cifar-cnn8: serial {theirs:.1f} s, ours {ours:.1f} s, ratio {ours / theirs:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--course", type=int, default=0)
    options = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1" or os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        arguments = [sys.executable, "-m", "tests.benchmarks.esd", *sys.argv[1:]]
        os.execve(sys.executable, arguments, environment(os.environ))
    pictures(options.rounds)
    ratios(options.rounds)
    if options.course:
        course(options.course)


if __name__ == "__main__":
    main()
