"""How many pictures of noise a run looks at per second, against the loop of seed 004 that takes one at a time.

    python -m tests.benchmarks.noise [--threads 2] [--model FILE --arch NAME --mean … --std …]

Each figure is a ratio inside one process: loop and run in turn, medians of the rounds. ``run`` is the whole run, noise,
pictures, records and report included; ``look`` is the work alone, until the last record. The noise itself is measured
by itself, for it has to be made faster than it is looked at.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from advcli.core.choices import NoiseKind
from advcli.engine.noise_search import NoiseSearchCommand, NoiseSearchConfig
from advcli.images.noise import noise
from advcli.models.loading import ModelRequest, load_network
from advcli.runs.command import RunConfig
from advcli.runs.life import run

ALONE = 200  # pictures of the loop in a round


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.cpu_time else time.perf_counter
    request = _request(options)
    for kind in NoiseKind.__args__:
        best = min(_timed(time.perf_counter, lambda kind=kind: noise(kind, 0, 0, 500, (32, 32))) for _ in range(5))
        print(f"noise {kind:15} {500 / best:10,.0f} pictures/s")
    print(f"{'precision':10} {'loop /s':>9} {'look /s':>9} {'run /s':>9} {'look/loop':>10} {'run/loop':>10}")
    with tempfile.TemporaryDirectory() as temporary:
        for precision in ("fp32", "bf16"):
            rows = [
                _round(options, request, precision, Path(temporary) / f"{precision}-{place}", clock)
                for place in range(options.rounds)
            ]
            loop, look, whole = (statistics.median(column) for column in zip(*rows, strict=True))
            ratios = [statistics.median(row[place] / row[0] for row in rows) for place in (1, 2)]
            print(
                f"{precision:10} {loop:9.0f} {look:9.0f} {whole:9.0f} {ratios[0]:10.2f} {ratios[1]:10.2f}", flush=True
            )


def _round(options, request, precision, out, clock):
    """Pictures per second of the loop, of the work of a run, and of the whole run."""
    loaded = load_network(request)
    loop = ALONE / _timed(clock, lambda: _one_at_a_time(*loaded, 0.9))
    command = NoiseSearchCommand(NoiseSearchConfig((request,), options.attempts))
    config = RunConfig(out, device="cpu", precision=precision)
    prepared = command.prepare(config, None)
    todo = [(item, prepared.cases) for item in prepared.items]
    look = options.attempts / _timed(clock, lambda: list(prepared.work(iter(todo), None)))
    whole = options.attempts / _timed(clock, lambda: run(config, command))
    return loop, look, whole


def _one_at_a_time(network, card, threshold):
    """Seed 004: draw, round to eight bits, normalize, classify, one picture after the other."""
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (card.preprocessing.mean, card.preprocessing.std))
    network.eval()
    hits = 0
    with torch.no_grad():
        for _ in range(ALONE):
            picture = torch.rand(1, 3, 32, 32)
            picture = (picture.squeeze(0).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
            pixels = (torch.from_numpy(picture).permute(2, 0, 1).float() / 255 - mean) / std
            hits += torch.softmax(network(pixels[None]), 1).max().item() >= threshold
    return hits


def _timed(clock, work):
    began = clock()
    work()
    return clock() - began


def _request(options):
    if options.model is None:
        return ModelRequest()
    mean, std = (tuple(float(part) for part in text.split(",")) for text in (options.mean, options.std))
    return ModelRequest(options.model, options.arch, mean=mean, std=std)


def _options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=10_000, help="as the command's own default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true", help="time of the processor, for a busy machine; one thread")
    for name in ("--model", "--arch", "--mean", "--std"):
        parser.add_argument(name)
    return parser.parse_args()


if __name__ == "__main__":
    main()
