"""Learning rates against closed forms and PyTorch."""

import numpy as np
import pytest
import torch

from advcli.errors import UsageError
from advcli.training.augmentation import parse_augment
from advcli.training.recipes import RECIPES, Recipe, plateau


def test_one_cycle_climbs_to_its_peak_and_falls_to_nothing():
    recipe = Recipe(rate=0.4, warmup=0.2)
    assert recipe.rate_at(0, []) == 0
    assert recipe.rate_at(0.1, []) == pytest.approx(0.2)
    assert recipe.rate_at(0.2, []) == pytest.approx(0.4)
    assert recipe.rate_at(0.6, []) == pytest.approx(0.2)
    assert recipe.rate_at(1, []) == pytest.approx(0)


@pytest.mark.parametrize("patience", [0, 1, 5])
def test_a_plateau_is_that_of_pytorch(patience):
    rng = np.random.default_rng(patience)
    losses = (rng.random(60) + np.linspace(1, 0.5, 60)).tolist()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min", patience=patience)
    for epoch, loss in enumerate(losses):
        assert plateau(0.01, losses[:epoch], patience) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        scheduler.step(loss)


def test_the_recipe_of_the_source_is_what_its_notebook_did():
    recipe = RECIPES["seed-004"]
    assert (recipe.epochs, recipe.batch_size, recipe.rate, recipe.momentum) == (50, 64, 0.01, 0.9)
    assert (recipe.schedule, recipe.plateau, recipe.weight_decay) == ("plateau", 5, 0)
    assert (recipe.augment, recipe.label_smoothing, recipe.nesterov) == ((), 0, False)
    assert [60_000 * share for share in (recipe.val, recipe.test)] == [10_000, 10_000]
    assert (0.5 - recipe.mean[0]) / recipe.std[0] == pytest.approx(127.5)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_followed(name):
    assert len(parse_augment(RECIPES[name].augment)) == len(RECIPES[name].augment)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"warmup": 1.0},
        {"momentum": 1.0},
        {"val": 1.0},
        {"test": -0.1},
    ],
)
def test_numbers_with_which_nothing_is_learned_are_refused(wrong):
    with pytest.raises(UsageError, match="--"):
        Recipe(**wrong)
