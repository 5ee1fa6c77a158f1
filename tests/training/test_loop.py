"""The loop below the run: what steps do, and what stops them."""

from functools import partial

import pytest
import torch
from torch import nn

from advcli.errors import ModelError, UsageError
from advcli.training.adversarial import adversarial, pgd, plain, trades
from advcli.training.examples import Examples, Parts
from advcli.training.loop import Normalized, Plan, fit
from advcli.training.measuring import evaluate
from advcli.training.recipes import Recipe, plateau

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=2, batch_size=8, rate=0.05, augment=(), precision="fp32")


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, 2)]
        return Normalized(nn.Sequential(*layers), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


@pytest.fixture
def examples():
    images = torch.randint(0, 256, (32, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return Examples(images, (images.float().mean((1, 2, 3)) > 127).long())


def trained(examples, folder, recipe=RECIPE, objective=None, seed=0, name="checkpoint.pt"):
    made = network()
    plan = Plan(recipe, seed, CPU, folder / name, objective=objective)
    epochs = list(fit(made, Parts(examples, examples, examples), plan))
    return epochs, made.state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_loss_goes_down(examples, tmp_path):
    epochs, _ = trained(examples, tmp_path, Recipe(epochs=10, batch_size=8, rate=0.05, augment=(), precision="fp32"))
    assert epochs[-1].test_loss < 0.5 * epochs[0].test_loss


def test_the_seed_decides(examples, tmp_path):
    first = trained(examples, tmp_path, name="a")
    again = trained(examples, tmp_path, name="b")
    other = trained(examples, tmp_path, name="c", seed=1)
    assert first[0] == again[0]
    assert same(first[1], again[1])
    assert not same(first[1], other[1])


def test_trades_with_beta_0_is_plain_training(examples, tmp_path):
    beta = partial(trades, attack=pgd, beta=0.0, base=partial(plain, label_smoothing=RECIPE.label_smoothing))
    assert same(trained(examples, tmp_path, name="a")[1], trained(examples, tmp_path, objective=beta, name="b")[1])


def test_adversarial_training_in_a_ball_without_room_is_plain_training(examples, tmp_path):
    nowhere = partial(
        adversarial, attack=partial(pgd, eps=0.0), base=partial(plain, label_smoothing=RECIPE.label_smoothing)
    )
    assert same(trained(examples, tmp_path, name="a")[1], trained(examples, tmp_path, objective=nowhere, name="b")[1])


def test_a_loss_that_is_not_finite_stops_and_keeps_the_epochs_before(examples, tmp_path):
    calls = []

    def breaks(model, pixels, labels, generator):
        calls.append(1)
        loss, logits = plain(model, pixels, labels, generator)
        return loss * (float("nan") if len(calls) > 5 else 1), logits

    with pytest.raises(ModelError, match="not finite in epoch 2"):
        trained(examples, tmp_path, objective=breaks)
    assert len(trained(examples, tmp_path)[0]) == 2


def test_a_checkpoint_of_another_training_is_refused(examples, tmp_path):
    trained(examples, tmp_path)
    with pytest.raises(UsageError, match="other settings"):
        list(fit(network(), Parts(examples), Plan(RECIPE, 0, CPU, tmp_path / "checkpoint.pt", identity="x")))


def test_a_plateau_watches_the_validation_loss(examples, tmp_path):
    recipe = Recipe(epochs=8, batch_size=8, rate=0.5, schedule="plateau", plateau=0, augment=(), precision="fp32")
    epochs, _ = trained(examples, tmp_path, recipe)
    losses = [epoch.validation_loss for epoch in epochs]
    assert [epoch.learning_rate for epoch in epochs] == [plateau(0.5, losses[:place], 0) for place in range(8)]
    assert epochs[-1].learning_rate < 0.5


def test_evaluation_counts_what_is_right_and_leaves_the_mode(examples):
    made = network().train()
    loss, accuracy = evaluate(made, examples, CPU)
    assert made.network[4].training
    with torch.no_grad():
        logits = made.eval()(examples.images.float() / 255)
    assert accuracy == pytest.approx(float((logits.argmax(1) == examples.labels).float().mean()))
    assert loss == pytest.approx(float(nn.functional.cross_entropy(logits, examples.labels)), rel=1e-5)
