"""Minimum-norm attacks against foolbox's and ART's at an equal number of passes: median norms; asserts nothing.

    python -m tests.benchmarks.min_norm [--queries 1000] [--images 128] [--norm l0 l1 l2 linf labels] [--data FOLDER]
                                        [--model NAME] [--arch NAME] [--mean R G B] [--std R G B]

A step of a gradient attack costs a forward and a backward pass, so 1,000 queries are 500 steps; ``passes`` an image are
counted by hooks in the libraries, which are given as many steps as fit. ``labels`` are attacks that see labels alone,
in l2. Distances are of the float points, which the libraries alone know, and of the eight-bit pictures; ``fooling`` is
the share of pictures that fool, asked of the plain network. Failures count as infinitely far. Labels are what the
network says, or with --data what is right. An attack that fails on its own is named with its error. foolbox's
Brendel-Bethge attacks take part where numba is installed.
"""

import argparse
import time
import warnings
from importlib.util import find_spec

import torch

from advcli.attacks.cw import Cw
from advcli.attacks.ddn import Ddn
from advcli.attacks.fmn import Fmn
from advcli.attacks.hopskipjump import HopSkipJump
from advcli.attacks.sigma_zero import SigmaZero
from advcli.core.norms import BALLS
from advcli.core.randomness import key
from advcli.search.attempt import Attempt
from advcli.search.donors import donor_for
from advcli.search.flow import drive
from tests.benchmarks.network import add_network, loaded
from tests.counting import Counted

warnings.filterwarnings("ignore")  # of the libraries: they are measured, not mended


def ours(queries):
    """Our attacks, by norm."""
    steps = (queries - 1) // 2
    cw = Cw(initial_c=1.0, search_steps=5, steps=max(1, steps // 5))
    return {
        "l2": {"ddn": Ddn(steps), "fmn": Fmn("l2", steps), "cw": cw},
        "linf": {"fmn": Fmn("linf", steps)},
        "l1": {"fmn": Fmn("l1", steps)},
        "l0": {"sigma-zero": SigmaZero(steps), "fmn": Fmn("l0", steps)},
        "labels": {"hopskipjump": HopSkipJump()},
    }


def foolbox_attacks(queries):
    """foolbox's attacks, by norm."""
    import foolbox.attacks as fb

    steps, fifth = (queries - 1) // 2, max(1, queries // 10)
    cw = fb.L2CarliniWagnerAttack(binary_search_steps=5, steps=fifth, initial_const=1.0)
    ead = fb.EADAttack(binary_search_steps=5, steps=fifth, initial_const=1.0, decision_rule="L1")
    turns = max(1, queries // 140)  # of HopSkipJump, each of which costs some 140 looks and more
    found = {
        "l2": {"DDN": fb.DDNAttack(steps=steps), "FMN": fb.L2FMNAttack(steps=steps), "C&W": cw},
        "linf": {"FMN": fb.LInfFMNAttack(steps=steps)},
        "l1": {"FMN": fb.L1FMNAttack(steps=steps), "EAD": ead},
        "l0": {"FMN": fb.L0FMNAttack(steps=steps)},
        "labels": {"HSJ": fb.HopSkipJumpAttack(steps=turns)},
    }
    if find_spec("numba"):
        found["l2"]["BB"] = fb.L2BrendelBethgeAttack(steps=steps)
        found["linf"]["BB"] = fb.LinfinityBrendelBethgeAttack(steps=steps)
        found["l1"]["BB"] = fb.L1BrendelBethgeAttack(steps=steps)
        found["l0"]["BB"] = fb.L0BrendelBethgeAttack(steps=steps)
    return found


def art_attacks(queries):
    """ART's attacks, by norm: what makes each of a wrapped network."""
    import art.attacks.evasion as art

    few, quiet = max(1, queries // 20), {"verbose": False, "batch_size": 128}
    turn = max(21, queries // 7)  # looks of one of seven turns of HopSkipJump
    return {
        "l2": {"C&W": lambda net: art.CarliniL2Method(net, binary_search_steps=5, max_iter=few, **quiet),
               "DeepFool": lambda net: art.DeepFool(net, max_iter=max(1, queries // 11), **quiet)},
        "linf": {"C&W": lambda net: art.CarliniLInfMethod(net, max_iter=few, **quiet)},
        "l1": {"EAD": lambda net: art.ElasticNet(net, binary_search_steps=5, max_iter=2 * few, decision_rule="L1",
                                                 **quiet)},
        "l0": {"JSMA": lambda net: art.SaliencyMapMethod(net, theta=1.0, gamma=0.145, **quiet)},
        "labels": {"HSJ": lambda net: art.HopSkipJump(net, norm=2, max_iter=7, max_eval=turn, init_eval=20,
                                                      verbose=False)},
    }  # fmt: skip


def found_by_us(attack, classifier, images, labels, queries):
    attempts = []
    for place, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        keys = tuple(key(0, str(place), "benchmark"))
        donor = donor_for(classifier, label, -1, keys) if attack.traits.begins == "donor" else None
        attempts.append(Attempt(classifier, attack, image, label, key=keys, donor=donor))
    outcomes = drive(attempts, queries=queries)
    pixels, saved = (torch.stack([getattr(one, what) for one in outcomes]) for what in ("pixels", "saved"))
    passes = sum(one.forward_passes + one.backward_passes + one.verification_passes for one in outcomes)
    return pixels, saved, torch.tensor([one.reached for one in outcomes]), passes


def found_by_foolbox(attack, plain, images, labels):
    import foolbox

    counted = Counted(plain).eval()
    pixels, _, good = attack(foolbox.PyTorchModel(counted, (0, 1), device="cpu"), images, labels, epsilons=None)
    return pixels, (pixels * 255).round() / 255, good, counted.forward_rows + counted.backward_rows


def found_by_art(make, plain, images, classes):
    from art.estimators.classification import PyTorchClassifier

    counted, loss = Counted(plain).eval(), torch.nn.CrossEntropyLoss()
    wrapped = PyTorchClassifier(counted, loss, images.shape[1:], classes, clip_values=(0, 1), device_type="cpu")
    pixels = torch.from_numpy(make(wrapped).generate(images.numpy())).float().clamp(0, 1)
    return pixels, (pixels * 255).round() / 255, None, counted.forward_rows + counted.backward_rows


def contest(norm, name, find, plain, images, labels):
    begun, cpu = time.perf_counter(), time.process_time()
    try:
        pixels, saved, good, passes = find()
    except Exception as error:  # noqa: BLE001  a library's own attack may fail in any way, and the others go on
        print(f"{norm:7} {name:20} failed: {type(error).__name__}: {str(error).splitlines()[:1]}", flush=True)
        return
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    with torch.no_grad():
        wrong, kept = (plain(some.float()).argmax(1) != labels for some in (pixels, saved))
    ball, good = BALLS["l2" if norm == "labels" else norm], wrong if good is None else good
    sizes = [
        float(ball.size(some - images).float().where(fine, torch.inf).median())
        for some, fine in ((pixels, good), (saved, kept))
    ]
    print(
        f"{norm:7} {name:20} {sizes[0]:9.4f} {sizes[1]:9.4f} {float(kept.float().mean()):8.0%} "
        f"{passes / len(images):8.0f} {seconds:9.2f} {cpu:9.2f}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_network(parser, 128)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--norm", nargs="*", default=["l2", "linf", "l1", "l0", "labels"])
    parser.add_argument("--peers", nargs="*", default=["foolbox", "art"])
    options = parser.parse_args()
    classifier, plain, images, labels = loaded(options)
    queries, classes = options.queries, len(classifier.card.classes)
    print(f"{options.model}, {len(images)} images, {queries} queries, {torch.get_num_threads()} threads")
    print(
        f"{'norm':7} {'attack':20} {'median':>9} {'as saved':>9} {'fooling':>8} {'passes':>8} {'seconds':>9} {'cpu':>9}"
    )
    for norm in options.norm:
        finders = {
            name: lambda one=one: found_by_us(one, classifier, images, labels, queries)
            for name, one in ours(queries)[norm].items()
        }
        if "foolbox" in options.peers:
            for name, one in foolbox_attacks(queries)[norm].items():
                finders[f"foolbox {name}"] = lambda one=one: found_by_foolbox(one, plain, images, labels)
        if "art" in options.peers:
            for name, one in art_attacks(queries)[norm].items():
                finders[f"ART {name}"] = lambda one=one: found_by_art(one, plain, images, classes)
        for name, find in finders.items():
            contest(norm, name, find, plain, images, labels)


if __name__ == "__main__":
    main()
