"""What several explanations of one batch share: each part computed once, exact, and nothing left behind."""

import pytest
import torch
from torch import nn

from advcli.models.view import View, watching


@pytest.fixture
def cotangent():
    return torch.randn(40, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_logits_and_gradients_are_those_of_a_plain_pass_in_float64(trained, cotangent):
    view = View(trained.exact, trained.images, watch=["network.5"])
    pixels = trained.images.clone().requires_grad_()
    network, kept = trained.exact.network.network, []
    handle = network[5].register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    logits = trained.exact.network(pixels)
    handle.remove()
    expected = torch.autograd.grad((logits.double() * cotangent).sum(), [pixels, kept[0]])
    assert torch.allclose(view.logits, logits.detach(), rtol=1e-6)
    for found, reference in (
        (view.gradient(cotangent), expected[0]),
        (view.watched_gradient("network.5", cotangent), expected[1]),
        (view.watched("network.5"), kept[0]),
    ):
        assert found.dtype == torch.float64
        assert found.is_contiguous()
        assert (found - reference).abs().max() <= 1e-6 * reference.abs().max()


@pytest.mark.parametrize("scale", [1e-300, 1e-60, 1.0, 3e40, 1e300])
def test_a_cotangent_of_any_size_gives_a_gradient_of_that_size(trained, cotangent, scale):
    view = View(trained.classifier, trained.images)
    unit = view.gradient(cotangent)
    found = view.gradient(cotangent * scale)
    assert torch.allclose(found / scale, unit, rtol=1e-5, atol=1e-6 * float(unit.abs().max()))


def test_rows_without_a_cotangent_have_no_gradient(trained, cotangent):
    cotangent[3:] = 0
    found = View(trained.classifier, trained.images).gradient(cotangent)
    assert found[:3].flatten(1).any(1).all()
    assert not found[3:].any()


def test_a_power_of_two_changes_no_bit(trained, cotangent):
    view = View(trained.classifier, trained.images)
    assert torch.equal(view.gradient(cotangent * 2.0**-140), view.gradient(cotangent) * 2.0**-140)


def test_the_gradient_of_the_latest_cotangent_is_kept(trained, cotangent, monkeypatch):
    view = View(trained.classifier, trained.images, watch=["5", "8"], gradient=True)
    calls, backward = [], torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args, **kwargs: calls.append(1) or backward(*args, **kwargs))
    first = view.gradient(cotangent)
    view.watched_gradient("5", cotangent)
    view.watched_gradient("8", cotangent.clone())
    assert view.gradient(cotangent) is first
    assert len(calls) == 1
    view.gradient(2 * cotangent)
    assert len(calls) == 2


def test_a_cotangent_that_its_caller_changes_is_another_one(trained, cotangent):
    view = View(trained.classifier, trained.images)
    first = view.gradient(cotangent)
    cotangent *= 2
    assert torch.equal(view.gradient(cotangent), 2 * first)


def test_the_pixels_can_be_asked_for_although_nobody_said_so(trained, cotangent):
    late = View(trained.classifier, trained.images, watch=["8"])
    watched = late.watched_gradient("8", cotangent)
    early = View(trained.classifier, trained.images, watch=["8"], gradient=True)
    assert torch.equal(late.gradient(cotangent), early.gradient(cotangent))
    assert torch.equal(early.watched_gradient("8", cotangent), watched)


def test_nothing_is_computed_before_it_is_asked_for_nor_after_it_was_closed(trained):
    calls = []
    handle = trained.classifier.network.register_forward_hook(lambda *_: calls.append(1))
    view = View(trained.classifier, trained.images[:3], watch=["8"])
    assert not calls
    logits = view.logits
    view.watched("8")
    assert len(calls) == 1
    view.close()
    assert torch.equal(view.logits, logits)
    assert len(calls) == 2
    handle.remove()


class Reusing(nn.Module):
    """Calls one module twice, changes its output in place, and has one that the logits do not depend on."""

    def __init__(self):
        super().__init__()
        self.again, self.idle = nn.Identity(), nn.Identity()

    def forward(self, pixels):
        once = self.again(2 * pixels)
        self.idle(pixels)
        twice = self.again(3 * once)
        twice += 1
        value = twice.square().mean((1, 2, 3))
        return torch.stack([value, 0 * value], 1)


def test_of_a_module_that_is_called_twice_the_last_output_is_watched_as_it_was(wrap):
    pixels = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    view = View(wrap(Reusing(), block=4), pixels, watch=["again", "idle"])
    cotangent = torch.tensor([[1.0, 0.0]]).repeat(20, 1)
    assert torch.allclose(view.watched("again").float(), 6 * pixels)
    expected = 2 * (6 * pixels + 1) / 192
    assert torch.allclose(view.watched_gradient("again", cotangent).float(), expected, rtol=1e-5)
    assert not view.watched_gradient("idle", cotangent).any()


def test_a_module_that_does_not_exist_is_an_error_and_leaves_no_hook(trained):
    network = trained.classifier.network
    with pytest.raises(AttributeError), watching(network, ["5", "nowhere"]):
        pass
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
