"""What a picture costs: encoding against Pillow and torchvision, drawing, and how much of it holds the interpreter.

python tests/benchmarks/pictures.py
"""

import io
import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from PIL import Image
from skimage import data
from torchvision.io import encode_png

from advcli.core.records import AttackRecord
from advcli.figures.attack_pictures import attack_panel
from advcli.figures.perturbations import difference
from advcli.images.writing import png_bytes

torch.set_num_threads(1)


def milliseconds(work: Callable[[], object], count: int) -> float:
    """Best mean of five rounds."""
    work()
    rounds = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(count):
            work()
        rounds.append((time.perf_counter() - began) / count)
    return 1000 * min(rounds)


def pillow(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def torchvision(pixels: np.ndarray) -> bytes:
    return encode_png(torch.from_numpy(pixels).permute(2, 0, 1), 1).numpy().tobytes()


def left_to_others(work: Callable[[], object]) -> float:
    """Share of its speed that a loop of Python keeps while another thread does the work without end."""

    def loop(seconds: float) -> int:
        end, count = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            count += 1
        return count

    alone = loop(0.5)
    stop = threading.Event()

    def repeat() -> None:
        while not stop.is_set():
            work()

    thread = threading.Thread(target=repeat)
    thread.start()
    beside = loop(0.5)
    stop.set()
    thread.join()
    return beside / alone


def attacked(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A photograph and the same with noise of 8 levels."""
    before = np.array(Image.fromarray(data.astronaut()).resize((side, side)))
    noise = np.random.default_rng(0).integers(-8, 9, before.shape)
    return before, np.clip(before + noise, 0, 255).astype(np.uint8)


def show(side: int, count: int) -> None:
    record = AttackRecord(item="a.png", case="pgd", method="pgd", norm="linf", eps=8 / 255, prediction="x")
    before, after = attacked(side)
    for name, encode in (("ours", png_bytes), ("Pillow", pillow), ("torchvision", torchvision)):
        work = partial(encode, after)
        took, kept = milliseconds(work, count), left_to_others(work)
        print(f"{side:4d} {name:12s} {took:7.3f} ms {len(work()):8,d} bytes, others keep {kept:.0%}")
    panel = attack_panel(before, after, record)
    works = {
        "difference": partial(difference, before, after, 8),
        "panel drawn": partial(attack_panel, before, after, record),
        "panel as PNG": partial(png_bytes, panel),
    }
    for name, work in works.items():
        print(f"{side:4d} {name:12s} {milliseconds(work, count // 4):7.3f} ms")


if __name__ == "__main__":
    for pixels, rounds in ((32, 200), (224, 20)):
        show(pixels, rounds)
