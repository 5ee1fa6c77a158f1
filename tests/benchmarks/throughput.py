"""How much of the driver's speed a run keeps, with files in and pictures out; and how its memory grows.

    python -m tests.benchmarks.throughput --data IMAGES.npz|FOLDER [--model FILE --arch NAME --mean … --std …]

Each measure is a ratio inside one process: images per second of ``advcli attack`` on PNG files, over those of the same
rows through the driver on tensors in memory, in turn, medians of the rounds. The driver is given the logits of the
clean images, which a run has to compute first; the second ratio counts that pass to the driver's time too.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from advcli.core.quantities import quantity
from advcli.engine.attack import AttackCommand
from advcli.images.finding import find
from advcli.models.loading import ModelRequest
from advcli.registry import parse_methods
from advcli.runs.classifiers import classifier_for, default_batch_size, requests_for
from advcli.runs.command import RunConfig
from advcli.runs.images import ImageConfig, Reader, items_of, look_at
from advcli.runs.life import run
from advcli.search.config import AttackConfig
from advcli.search.flow import flow
from advcli.search.plans import AttackPlan, Problem, attack_job


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as temporary:
        folder = _folder(options, Path(temporary))
        if options.memory:
            _memory(options, folder, Path(temporary))
            return
        print(f"{'method':30} {'driver /s':>10} {'with look':>10} {'run /s':>10} {'ratio':>7} {'with look':>10}")
        for text in options.method:
            rates = [_rates(options, folder, Path(temporary) / f"{place}", text) for place in range(options.rounds)]
            driver, looking, whole = (statistics.median(column) for column in zip(*rates, strict=True))
            ratio, fair = (statistics.median(rate[2] / rate[place] for rate in rates) for place in (0, 1))
            print(f"{text:30} {driver:10.0f} {looking:10.0f} {whole:10.0f} {ratio:7.2f} {fair:10.2f}", flush=True)


def _rates(options: argparse.Namespace, folder: Path, out: Path, text: str) -> tuple[float, float, float]:
    """Images per second of the driver alone, of a look at the clean images and the driver, and of the whole run."""
    images = ImageConfig(find([str(folder)]), (_request(options),))
    config = RunConfig(out / text.partition(":")[0], device="cpu")
    what = AttackConfig(tuple(parse_methods("attack", [text], "--method")), (quantity(options.eps, "--eps"),))
    classifier = classifier_for(requests_for(images.models, images.sources, config, None)[0])
    reader = Reader.of([classifier], images.labels)
    read = [reader(item, ()) for item in items_of(images.sources)]
    looked = time.perf_counter()
    clean = [one for start in range(0, len(read), 128) for one in look_at(classifier, read[start : start + 128], 0)]
    cells, _ = what.cells(classifier.card)
    plan = AttackPlan(cells[0].method.build(), cells[0].name, -1, (cells[0].eps.value,), None)
    began = time.perf_counter()
    problems = (Problem(classifier, one.pixels, one.logits, one.label, one.image.sha256, 0) for one in clean)
    batch_size = default_batch_size(classifier.card.preprocessing.size, classifier.device)
    for _ in flow((attack_job(problem, plan) for problem in problems), batch_size=batch_size):
        pass
    ended = time.perf_counter()
    report = run(config, AttackCommand(images, what))
    return len(clean) / (ended - began), len(clean) / (ended - looked), len(clean) / report.timings.seconds


def _memory(options: argparse.Namespace, folder: Path, temporary: Path) -> None:
    """Peak memory of whole processes over a growing number of images and cases."""
    for limit, cases in ((1000, 1), (6000, 1), (1000, 10), (6000, 10)):
        eps = ",".join(f"{place}/255" for place in range(1, cases + 1))
        command = [sys.executable, "-m", "advcli", "attack", str(folder), "--limit", str(limit), "--eps", eps]
        command += ["--method", "fgsm", "--out", str(temporary / f"m-{limit}-{cases}"), "--no-panels", "-q"]
        command += _model_options(options)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        peak = usage.ru_maxrss / 2**20
        print(json.dumps({"images": limit, "cases": cases, "status": status, "peak_gb": round(peak, 3)}), flush=True)


def _folder(options: argparse.Namespace, temporary: Path) -> Path:
    """The images as PNG files: those of an .npz (N, H, W, 3), or a folder as it is."""
    if options.data.is_dir():
        return options.data
    stored = dict(np.load(options.data))  # once: an .npz is unpacked anew for every look at an array
    folder = temporary / "images"
    names = [str(label) for label in range(int(stored["labels"].max()) + 1)]
    for place in range(options.images):
        pixels = stored["images"][place % len(stored["images"])]
        inside = folder / names[int(stored["labels"][place % len(stored["labels"])])]
        inside.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(inside / f"{place:05}.png")
    return folder


def _request(options: argparse.Namespace) -> ModelRequest:
    if options.model is None:
        return ModelRequest()
    mean, std = (tuple(float(part) for part in text.split(",")) for text in (options.mean, options.std))
    return ModelRequest(options.model, options.arch, mean=mean, std=std)


def _model_options(options: argparse.Namespace) -> list[str]:
    if options.model is None:
        return []
    return ["--model", options.model, "--arch", options.arch, "--mean", options.mean, "--std", options.std]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--method", action="append")
    parser.add_argument("--eps", default="2/255")
    parser.add_argument("--memory", action="store_true")
    for name in ("--model", "--arch", "--mean", "--std"):
        parser.add_argument(name)
    options = parser.parse_args()
    options.method = options.method or ["fgsm", "pgd:steps=10"]
    torch.set_num_threads(2)
    return options


if __name__ == "__main__":
    main()
