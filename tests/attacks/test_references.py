"""FGSM and PGD against torchattacks and foolbox, pixel for pixel, on a trained network in float64.

What is compared is where the last step ended: ours keep the last success, theirs the last step. The libraries take
cross-entropy, ours its log-odds form: the same direction, so the same pixels.
"""

import copy
import warnings

import pytest
import torch
import torchattacks
from torch import nn

from advcli.attacks.fgsm import Fgsm
from advcli.attacks.pgd import Pgd

with warnings.catch_warnings():
    # foolbox 3.3.4 imports gaussian_filter from where scipy no longer wants it to be.
    warnings.filterwarnings("ignore", ".*scipy.ndimage", DeprecationWarning)
    import foolbox

SETTINGS = [(5, 0.02), (5, 0.06), (20, 0.02), (20, 0.06)]
L2 = 16  # times as far in l2 as in linf, for 3 x 16 x 16 values


class Wide(nn.Module):
    """A trained network with its logits left in float64, so that the libraries' cross-entropy loses nothing."""

    def __init__(self, trained):
        super().__init__()
        self.inner = copy.deepcopy(trained.exact_network)
        self.eval()

    def forward(self, pixels):
        return self.inner.network((pixels.double() - self.inner.mean) / self.inner.std)


@pytest.fixture(scope="module", params=[False, True], ids=["untargeted", "targeted"])
def target(request, trained):
    return (trained.labels + 1) % 5 if request.param else None


@pytest.fixture(scope="module")
def ours(trained, run_attack):
    """Run one of our attacks to its last step, and say where that ended."""

    def run(attack, classifier, target, eps):
        last = torch.zeros_like(trained.images)

        class Spy(type(attack)):
            def step(self, rows, logits, model):
                super().step(rows, logits, model)
                last[rows.index] = rows.adversarial

        spy = Spy(**vars(attack))
        run_attack(spy, classifier, trained.images, trained.labels, target, eps, batch_size=64, early_exit=False)
        return last

    return run


def of_torchattacks(attack, trained, target):
    if target is not None:
        attack.set_mode_targeted_by_label(quiet=True)
    return attack(trained.images, trained.labels if target is None else target)


def of_foolbox(attack, theirs, trained, target, eps):
    criterion = foolbox.criteria.Misclassification(trained.labels)
    if target is not None:
        criterion = foolbox.criteria.TargetedMisclassification(target)
    model = foolbox.PyTorchModel(theirs, bounds=(0, 1), device="cpu")
    return attack(model, trained.images, criterion, epsilons=eps)[1]


def assert_agree(found, expected, within=5e-7):
    """Hold every pixel to float32's rounding of a value near one."""
    assert (found - expected).abs().max() <= within


@pytest.mark.parametrize("eps", [1 / 255, 8 / 255, 0.1])
def test_fgsm_moves_every_pixel_as_theirs_does(trained, ours, target, eps):
    found, theirs = ours(Fgsm(), trained.exact, target, eps), Wide(trained)
    references = [of_torchattacks(torchattacks.FGSM(theirs, eps), trained, target)]
    if target is None:  # foolbox has no targeted FGSM
        attack = foolbox.attacks.LinfFastGradientAttack(random_start=False)
        references.append(of_foolbox(attack, theirs, trained, None, eps))
    for reference in references:
        assert_agree(found, reference)
        assert torch.equal((found - trained.images).sign(), (reference - trained.images).sign())


@pytest.mark.parametrize("eps", [0.1, 1.0])
def test_fgsm_l2_goes_where_foolbox_goes(trained, ours, eps):
    attack = foolbox.attacks.L2FastGradientAttack(random_start=False)
    reference = of_foolbox(attack, Wide(trained), trained, None, eps)
    assert_agree(ours(Fgsm(norm="l2"), trained.exact, None, eps), reference)


@pytest.mark.parametrize(("steps", "eps"), SETTINGS)
def test_pgd_ends_at_the_pixels_where_theirs_ends(smooth, ours, target, steps, eps):
    theirs, size = Wide(smooth), 0.01
    found = ours(Pgd(steps=steps, step_size=size, random_start=False), smooth.exact, target, eps)
    reference = torchattacks.PGD(theirs, eps, size, steps, random_start=False)
    assert_agree(found, of_torchattacks(reference, smooth, target))
    attack = foolbox.attacks.LinfPGD(abs_stepsize=size, steps=steps, random_start=False)
    assert_agree(found, of_foolbox(attack, theirs, smooth, target, eps))


@pytest.mark.parametrize(("steps", "eps"), SETTINGS)
def test_pgd_l2_ends_at_the_pixels_where_theirs_ends(smooth, ours, target, steps, eps):
    theirs, eps, size = Wide(smooth), eps * L2, 0.01 * L2
    found = ours(Pgd(norm="l2", steps=steps, step_size=size, random_start=False), smooth.exact, target, eps)
    reference = torchattacks.PGDL2(theirs, eps, size, steps, random_start=False)
    # torchattacks adds 1e-10 to the length of a gradient, which a confident network makes short.
    assert_agree(found, of_torchattacks(reference, smooth, target), within=5e-6)
    attack = foolbox.attacks.L2PGD(abs_stepsize=size, steps=steps, random_start=False)
    assert_agree(found, of_foolbox(attack, theirs, smooth, target, eps))


def test_float32_and_folding_change_no_sign(trained, ours, target):
    single, exact = (ours(Fgsm(), one, target, 0.06) for one in (trained.classifier, trained.exact))
    assert_agree(single, exact)


def test_pgd_goes_on_where_cross_entropy_has_underflown(trained, run_attack, wrap):
    class Overconfident(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, pixels):
            return 1e5 * self.network(pixels)

    network = Overconfident(copy.deepcopy(trained.network)).eval()
    attack = Pgd(steps=20, step_size=0.01, random_start=False)
    found = run_attack(attack, wrap(network, classes=5, size=16), trained.images, trained.labels, None, 0.06)
    assert (found.rank == 2).float().mean() > 0.95
    reference = torchattacks.PGD(network, 0.06, 0.01, 20, random_start=False)(trained.images, trained.labels)
    assert (network(reference).argmax(1) == trained.labels).float().mean() > 0.95  # robust, by cross-entropy
