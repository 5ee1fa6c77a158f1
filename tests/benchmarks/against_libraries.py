"""The same work, ours and the libraries', in turn in one process; prints medians and ratios, asserts nothing.

    python -m tests.benchmarks.against_libraries [--model FILE --arch NAME --mean … --std …] [--images 128] [--rounds 5]
                                                 [--data FOLDER] [--only WORD ...]

The network is the built-in one by default, on as many threads as torch takes. Without --data the pictures are cut out
of scikit-image's photographs; with it, images that the network gets wrong are left out. A ratio above 1 says how many
times faster we are. Attacks stop at the first success, as on the command line; the libraries have no such thing and
make all their steps; both reach the same robust accuracy, which is printed too. "with files" is a whole run of ours,
from PNG files to records, pictures and report, against the library's attack on tensors in memory.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from advcli.attacks.fgsm import Fgsm
from advcli.attacks.pgd import Pgd
from advcli.attributions.grad_cam import grad_cam
from advcli.attributions.gradient import gradient
from advcli.attributions.integrated_gradients import integrated_gradients
from advcli.core.quantities import quantity
from advcli.core.randomness import key
from advcli.core.scores import Target
from advcli.engine.attack import AttackCommand
from advcli.images.finding import find
from advcli.images.labels import Labels
from advcli.models.layers import pick_layer
from advcli.models.view import View
from advcli.registry import parse_methods
from advcli.runs.command import RunConfig
from advcli.runs.images import ImageConfig
from advcli.runs.life import run
from advcli.search.attempt import Attempt
from advcli.search.config import AttackConfig
from advcli.search.flow import drive
from tests.benchmarks.network import add_network, loaded, request_of

EPS = 8 / 255


def ours(attack, classifier, images, labels):
    attempts = [
        Attempt(classifier, attack, images[place], int(labels[place]), eps=EPS, key=key(0, str(place), "benchmark"))
        for place in range(len(images))
    ]
    return lambda: statistics.mean(not one.reached_as_saved for one in drive(attempts, batch_size=128))


def with_files(text, request, images, folder):
    """A whole run on files: gives the share of predictions that stand, as its report states it."""
    for place, pixels in enumerate((images * 255).round().byte().permute(0, 2, 3, 1).numpy()):
        Image.fromarray(pixels).save(folder / f"{place:05}.png")
    command = AttackCommand(
        ImageConfig(find([str(folder)]), (request,), Labels("predicted")),
        AttackConfig(tuple(parse_methods("attack", [text], "--method")), (quantity("8/255", "--eps"),)),
    )
    runs = itertools.count()

    def whole():
        report = run(RunConfig(folder.with_name(f"run-{next(runs)}"), device="cpu"), command)
        return float(report.summary["unchanged_predictions"])

    return whole


def theirs(attack, model, images, labels):
    return lambda: float((model(attack(images, labels)).argmax(1) == labels).float().mean())


def foolboxed(attack, model, images, labels):
    import foolbox

    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")

    def run():
        _, clipped, _ = attack(wrapped, images, labels, epsilons=EPS)
        return float((model(clipped).argmax(1) == labels).float().mean())

    return run


def contests(request, classifier, plain, images, labels, folder):
    import captum.attr
    import foolbox
    import pytorch_grad_cam
    import torchattacks
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

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
        "PGD-40 with files / torchattacks",
        with_files("pgd:steps=40,step_size=2/255", request, images, folder),
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
    add_network(parser, 128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[""], help="words of the contests' names")
    chosen = parser.parse_args()
    classifier, plain, images, labels = loaded(chosen)
    print(f"{len(images)} images, {torch.get_num_threads()} threads, median of {chosen.rounds} rounds")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        folder.mkdir()
        for name, mine, other in contests(request_of(chosen), classifier, plain, images, labels, folder):
            if any(word in name for word in chosen.only):
                contest(name, mine, other, chosen.rounds)


def contest(name, mine, other, count):
    """Take turns, and print medians and the median ratio."""
    mine(), other()
    rounds = [(timed(mine), timed(other)) for _ in range(count)]
    a, b = (statistics.median(one[side][0] for one in rounds) for side in (0, 1))
    ratio = statistics.median(one[1][0] / one[0][0] for one in rounds)
    answers = [one if isinstance(one, float) else None for one in (rounds[0][0][1], rounds[0][1][1])]
    robust = f"  robust {answers[0]:.3f} and {answers[1]:.3f}" if None not in answers else ""
    print(f"{name:34} {a:8.3f} s {b:8.3f} s   {ratio:6.2f} times{robust}", flush=True)


if __name__ == "__main__":
    main()
