"""Strong attacks against torchattacks', in turn in one process: seconds, passes and robust accuracy; asserts nothing.

    python -m tests.benchmarks.attacks [--model NAME] [--arch NAME] [--data FOLDER] [--images 256] [--only NAME ...]
                                       [--precision fp32|bf16] [--eps 0.0314] [--steps 100] [--without-peers]

Ours ends an image at its first success as a picture. ``passes`` are forward and backward passes an image, with those
that verify; of the libraries they are counted by hooks. ``cpu`` is the time of the process on all its threads, which
other work on the machine disturbs less. ``files`` is the share of images whose eight-bit picture fools the network as
the libraries are given it. Every attack gets the same images. torchattacks' AutoAttack does not pass its steps on, so
its ensemble is put together here with the paper's. With --data the labels are right ones, and images that the network
gets wrong are left out.
"""

import argparse
import time
import warnings
from functools import partial
from operator import itemgetter

import torch

from advcli.core.randomness import key
from advcli.registry import parse_methods
from advcli.search.flow import flow
from advcli.search.plans import AttackPlan, Problem, attack_job
from tests.benchmarks.network import add_network, loaded
from tests.counting import Counted

warnings.filterwarnings("ignore")  # of the libraries: they are measured, not mended
ALL = ("pgd", "apgd-ce", "apgd-dlr", "apgd-t", "square", "autoattack", "autoattack:version=quick")


def peers(eps, steps, queries, classes):
    """The attacks of torchattacks by the names of ours."""
    import torchattacks

    targets = min(9, classes - 1)

    def ensemble(model):
        def of(kind, **more):
            return kind(model, eps=eps, n_restarts=1, verbose=False, **more)

        return torchattacks.MultiAttack(
            [
                of(torchattacks.APGD, steps=steps, loss="ce"),
                of(torchattacks.APGDT, steps=steps, n_classes=targets + 1),
                of(torchattacks.FAB, steps=steps, multi_targeted=True, n_classes=targets + 1),
                torchattacks.Square(model, eps=eps, n_queries=queries),
            ]
        )

    return {
        "pgd": lambda model: torchattacks.PGD(model, eps=eps, alpha=2.5 * eps / steps, steps=steps),
        "apgd-ce": lambda model: torchattacks.APGD(model, eps=eps, steps=steps, loss="ce"),
        "apgd-dlr": lambda model: torchattacks.APGD(model, eps=eps, steps=steps, loss="dlr"),
        "apgd-t": lambda model: torchattacks.APGDT(model, eps=eps, steps=steps, n_classes=targets + 1),
        "square": lambda model: torchattacks.Square(model, eps=eps, n_queries=queries),
        "autoattack": ensemble,
    }


def ours(attack, classifier, images, labels, eps):
    logits = classifier.logits(images)

    def job(place):
        sha256 = "".join(map(str, key(0, str(place), "benchmark")))
        problem = Problem(classifier, images[place], logits[place], int(labels[place]), sha256, seed=0)
        answers = yield from attack_job(problem, AttackPlan(attack, "benchmark", eps=(eps,)))
        return place, answers[0].outcome

    # In the order of the images, whichever is done first.
    ended = sorted(flow((job(place) for place in range(len(images))), batch_size=None), key=itemgetter(0))
    found = [outcome for _, outcome in ended]
    passes = sum(one.forward_passes + one.backward_passes + one.verification_passes for one in found)
    robust = sum(not one.misclassified_as_saved for one in found) / len(found)
    return passes / len(found), robust, torch.stack([one.saved for one in found])


def theirs(make, plain, images, labels):
    model = Counted(plain).eval()  # torchattacks puts it back into the mode it finds, and its batch norms with it
    adversarial = make(model)(images, labels)
    passes = (model.forward_rows + model.backward_rows) / len(images)
    with torch.no_grad():
        robust = float((plain(adversarial).argmax(1) == labels).float().mean())
    return passes, robust, (adversarial * 255).round() / 255


def clocks():
    return time.perf_counter(), time.process_time()


def report(name, find, plain, labels):
    """Run one attack, print its row, and give its processor time; saved pictures are shown to the plain network."""
    begun = clocks()
    passes, accuracy, saved = find()
    seconds, cpu = (now - before for now, before in zip(clocks(), begun, strict=True))
    with torch.no_grad():
        fooling = float((plain(saved).argmax(1) != labels).float().mean())
    print(f"{name:34} {seconds:9.2f} {cpu:9.2f} {passes:9.1f} {accuracy:9.1%} {fooling:9.1%}", flush=True)
    return cpu


def options_of():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_network(parser, 256)
    parser.add_argument("--eps", type=float, default=8 / 255)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--only", nargs="*", default=list(ALL))
    parser.add_argument("--without-peers", action="store_true")
    return parser.parse_args()


def main():
    options = options_of()
    classifier, plain, images, labels = loaded(options)
    print(f"{options.model}, {len(images)} images, eps {options.eps:.4f}, {torch.get_num_threads()} threads")
    print(f"{'attack':34} {'seconds':>9} {'cpu':>9} {'passes':>9} {'robust':>9} {'files':>9}")
    known = peers(options.eps, options.steps, options.queries, len(classifier.card.classes))
    for text in options.only:
        name = text.partition(":")[0]
        settings = {"pgd": f"steps={options.steps}", "square": f"steps={options.queries},rescale_schedule=false"}
        settings["autoattack"] = f"steps={options.steps},queries={options.queries}"
        more = settings.get(name, f"steps={options.steps}") if ":" not in text else text.partition(":")[2]
        (method,) = parse_methods("attack", [f"{name}:{more}"], "--only")
        attack = method.build()
        find = partial(ours, attack, classifier, images, labels, options.eps)
        mine = report(text, find, plain, labels)
        if text in known and not options.without_peers:
            find = partial(theirs, known[text], plain, images, labels)
            other = report(f"  torchattacks {name}", find, plain, labels)
            print(f"  times faster, cpu {other / mine:36.2f}")


if __name__ == "__main__":
    main()
