"""The contract between attacks and the driver: what is refused, and what an attack may see."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from advcli.core.attack import Traits
from advcli.errors import ContractError

LEVEL = 1 / 255
LINF = Traits(norms=("linf",))
FREE = Traits()


def rogue(step=None, start=None, traits=LINF, **more):
    """Make an attack of one step that does the given things."""

    def nothing(*_):
        pass

    body = {"steps": 1, "start": start or nothing, "step": step or nothing, "traits": traits, **more}
    body = {name: staticmethod(value) if callable(value) else value for name, value in body.items()}
    return type("Rogue", (), body)()


def put(change):
    def step(rows, logits, model):
        rows.adversarial = change(rows)

    return step


ROGUES = [
    (put(lambda rows: rows.images + 60 * LEVEL), {}, "left its linf ball by 0.039"),
    (put(lambda rows: rows.images + 49 * LEVEL), {"traits": Traits(norms=("l2",))}, "left its l2 ball by 2.4"),
    (put(lambda rows: rows.images * 0 - 1e-6), {"traits": FREE}, r"left \[0, 1\]: its pixels span \[-1e-06, -1e-06\]"),
    (put(lambda rows: rows.images * 0 + 1.01), {"traits": FREE}, r"left \[0, 1\]: its pixels span \[1.01, 1.01\]"),
    (put(lambda rows: rows.images * float("nan")), {}, "not all finite"),
    (put(lambda rows: rows.images / 0), {"traits": FREE}, "not all finite"),
    (put(lambda rows: rows.images[:, :, :4]), {}, r"pixels \(2, 3, 4, 8\)"),
    (put(lambda rows: rows.images[:1]), {}, "there are 2 rows"),
    (put(lambda rows: rows.images.double()), {}, r"pixels \(2, 3, 8, 8\) of torch.float64"),
]


@pytest.mark.parametrize(("step", "said", "message"), ROGUES)
@pytest.mark.parametrize("when", ["start", "step"])
def test_an_attack_that_breaks_its_contract_is_stopped(on_flat, step, said, message, when):
    attack = rogue(**{when: step if when == "step" else lambda rows: step(rows, None, None)}, **said)
    with pytest.raises(ContractError, match=message):
        on_flat(attack, 100, 100)


GIVEN = ("index", "images", "eps", "label", "target", "aim", "age", "budget", "forward_passes", "key", "drawn")


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("when", ["start", "step"])
def test_what_the_driver_gave_is_read_only(on_flat, name, when):
    def replace(rows, *_):
        setattr(rows, name, getattr(rows, name) + 1)

    def change(rows, *_):
        getattr(rows, name)[:1].add_(1)

    with pytest.raises(ContractError, match=f"rows.{name} is the driver's and read-only"):
        on_flat(rogue(**{when: replace}), 100, 100)
    with pytest.raises(ContractError, match=f"changed rows.{name} in place; it is the driver's"):
        on_flat(rogue(**{when: change}), 100, 100)


def test_an_image_cannot_be_exchanged_for_another(on_flat):
    with pytest.raises(ContractError, match=r"changed rows\.images in place"):
        on_flat(rogue(start=lambda rows: rows.images.copy_(1 - rows.images)), 100)
    with pytest.raises(ContractError, match=r"changed rows\.eps in place"):
        on_flat(rogue(start=lambda rows: rows.eps.mul_(100)), 100)


def test_a_tensor_made_too_late_is_refused(on_flat):
    def late(rows, logits, model):
        rows.memory = rows.eps

    with pytest.raises(ContractError, match=r"rows\.memory was not created in start"):
        on_flat(rogue(late), 100)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (lambda rows: True, "finished gave bool, not a mask"),
        (lambda rows: rows.age, r"finished gave \(2,\) of torch.int64, not a mask"),
        (lambda rows: rows.age[:1] > 0, r"finished gave \(1,\) of torch.bool, not a mask"),
        (lambda rows: (rows.images > 2).any(), r"finished gave \(\) of torch.bool"),
    ],
)
def test_finished_gives_a_mask(on_flat, mask, message):
    with pytest.raises(ContractError, match=message):
        on_flat(rogue(finished=mask), 100, 100)


def test_rows_that_are_finished_leave(on_flat, attacks, levels):
    class Tired(attacks["Brighten"]):
        def finished(self, rows):
            return rows.age >= (rows.images[:, 0, 0, 0] * 255).round().long() - 100

    found = on_flat(Tired(), 100, 102, 105, 126, batch_size=2)
    assert levels(found.pixels) == pytest.approx([100, 104, 110, 128], abs=1e-3)
    assert found.backward_passes.tolist() == [0, 2, 5, 2]
    assert found.forward_passes.tolist() == [1, 3, 6, 3]


def test_every_row_can_have_its_own_number_of_steps(on_flat, attacks):
    class Own(attacks["Brighten"]):
        def steps_for(self, rows):
            return (rows.images[:, 0, 0, 0] * 255).round().long() - 99

    found = on_flat(Own(), 100, 102, 105)
    assert found.steps.tolist() == [1, 3, 6]
    with pytest.raises(ContractError, match="steps_for gave no int64 counts"):
        on_flat(rogue(steps_for=lambda rows: rows.eps), 100)


TYPOS = {
    "keeps='nearest'": "Traits.keeps is 'nearest'; known: first, smallest",
    "keeps='smalest'": "did you mean 'smallest'",
    "eps='balls'": "Traits.eps is 'balls'",
    "eps='bounds'": "did you mean 'bound'",
    "norms=('l2', 'linv')": "Traits.norms is 'linv'; did you mean 'linf'",
    "norms='linf'": "not a tuple",
    "measure='L2'": "Traits.measure is 'L2'",
    "targets='maybe'": "did you mean 'may'",
    "needs='gradients'": "did you mean 'gradient'",
    "begins='noise'": "Traits.begins is 'noise'",
    "eps='reach'": "needs norms",
    "cost=2": "Traits.cost is 2",
}


def test_a_typo_in_traits_is_an_error_that_names_it():
    # In an interpreter of its own: here the types of all arguments are checked before the class can.
    code = "from advcli.core.attack import Traits\nfrom advcli.errors import ContractError\n"
    for typo in TYPOS:
        code += f"try:\n    Traits({typo})\n    print('accepted')\nexcept ContractError as error:\n    print(error)\n"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for typo, said in zip(TYPOS, run.stdout.splitlines(), strict=True):
        assert TYPOS[typo] in said, typo


def test_traits_have_defaults():
    assert Traits(norms=("linf",)).eps == "bound"
    assert Traits().eps == "unused"
    with pytest.raises(TypeError, match="norm"):
        Traits(norm="linf")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"traits": None}, "Rogue has no traits"),
        ({"norm": "l2"}, "norm 'l2', which is not among its traits' norms: linf"),
        ({"finnished": lambda rows: None}, "method 'finnished'; did you mean 'finished'"),
        ({"step_for": lambda rows: None}, "did you mean 'steps_for'"),
        ({"steps": None}, "has no steps"),
        ({"propose": lambda rows: None, "accept": lambda rows: None}, "either step, or propose and accept"),
    ],
)
def test_a_class_that_cannot_be_an_attack_is_refused(on_flat, said, message):
    with pytest.raises(ContractError, match=message):
        on_flat(rogue(**said), 100)


@pytest.mark.parametrize("needs", ["scores", "labels"])
def test_an_attack_sees_no_more_than_it_said_it_needs(on_flat, needs):
    traits = Traits(norms=("linf",), needs=needs)
    with pytest.raises(ContractError, match=f"needs only {needs} by its traits, and asked for a gradient"):
        on_flat(rogue(lambda rows, logits, model: model.vjp(logits), traits=traits), 100)
    seen = []

    def look(rows, logits, model):
        seen.append(logits)
        seen.append(model.query(rows.images[:, None])[:, 0])

    on_flat(rogue(look, traits=traits), 100, 127)
    expected = [[1, 0], [1, 0]] if needs == "labels" else [[27.3, -27.3], [0.3, -0.3]]
    for logits in seen:
        assert torch.allclose(logits, torch.tensor(expected).float(), atol=1e-4)


def test_a_vjp_is_for_some_rows_and_several_cotangents(trained, run_attack):
    found = SimpleNamespace()

    def step(rows, logits, model):
        found.logits = logits
        eye = torch.eye(5).expand(len(rows), 5, 5)
        found.all = model.vjp(eye)
        found.one = torch.stack([model.vjp(eye[:, k]) for k in range(5)], 1)
        found.mask = model.vjp(eye[:7], torch.arange(40) < 7)
        found.places = model.vjp(eye[:3, 1], torch.tensor([8, 30, 2]))

    attack = rogue(step, traits=FREE)
    outcome = run_attack(attack, trained.classifier, trained.images, trained.labels)
    assert found.all.shape == (40, 5, 3, 16, 16)
    assert torch.equal(found.all, found.one)
    assert torch.equal(found.mask, found.all[:7])
    assert torch.equal(found.places, found.all[torch.tensor([8, 30, 2]), 1])
    costs = torch.full((40,), 10)
    costs[:7] += 5
    costs[torch.tensor([8, 30, 2])] += 1
    assert torch.equal(outcome.backward_passes, costs)
    assert outcome.forward_passes.tolist() == [2] * 40


@pytest.mark.parametrize("count", [1, 5, 16])
def test_several_cotangents_of_few_rows_share_a_pass(trained, count):
    look = trained.classifier.look(trained.images[:count])
    calls = []
    for block in look.blocks:
        block.logits.register_hook(lambda gradient: calls.append(len(gradient)))
    many = look.vjp(torch.eye(5).expand(count, 5, 5))
    assert len(calls) == -(-5 // (16 // count))
    assert torch.equal(many, torch.stack([look.vjp(torch.eye(5)[[k] * count]) for k in range(5)], 1))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda rows, model: model.vjp(torch.ones(2, 3)), r"cotangent \(2, 3\), not \(2, 2\) or \(2, C, 2\)"),
        (lambda rows, model: model.vjp(torch.ones(2, 2), torch.tensor([0])), r"cotangent \(2, 2\), not \(1, 2\)"),
        (lambda rows, model: model.vjp(torch.ones(2, 2), rows.eps), "where is .* not a mask"),
        (lambda rows, model: model.query(rows.images), r"queried \(2, 3, 8, 8\), not \(2, Q, 3"),
        (lambda rows, model: model.query(rows.images[:, None] + 1), r"takes pixels in \[0, 1\]"),
    ],
)
def test_questions_that_do_not_fit_are_refused(on_flat, ask, message):
    with pytest.raises(ContractError, match=message):
        on_flat(rogue(lambda rows, logits, model: ask(rows, model)), 100, 100)


def test_what_is_queried_counts_as_visited(on_flat, levels):
    def step(rows, logits, model):
        steps = torch.tensor([5.0, 29.0, 35.0, 28.0]).view(1, 4, 1, 1, 1) * LEVEL
        found = model.query((rows.images[:, None] + steps).clamp(0, 1))
        assert found.shape == (2, 4, 2)

    scores = Traits(norms=("linf",), needs="scores")
    found = on_flat(rogue(step, traits=scores), 100, 10)
    assert levels(found.saved) == pytest.approx([129, 45])  # the first success; else the highest margin
    assert found.rank.tolist() == [2, 0]
    assert found.forward_passes.tolist() == [5, 6]  # the first row leaves without another look


def test_what_is_queried_outside_the_ball_does_not_count(on_flat):
    def step(rows, logits, model):
        model.query(torch.ones_like(rows.images)[:, None])

    found = on_flat(rogue(step, traits=Traits(norms=("linf",), needs="scores")), 100)
    assert found.rank.tolist() == [0]


def test_a_ball_allows_for_rounding_and_no_more(on_flat):
    on_flat(rogue(put(lambda rows: rows.images + 50 * LEVEL + 5e-7)), 10)
    with pytest.raises(ContractError, match="left its linf ball"):
        on_flat(rogue(put(lambda rows: rows.images + 50 * LEVEL + 5e-6)), 10)


def test_an_attack_without_a_ball_goes_where_it_likes(on_flat):
    linf, l2 = 155 / 255, 155 / 255 * 192**0.5
    for traits, distance in (
        (Traits(), l2),  # l2 where there is no norm
        (Traits(measure="l1"), linf * 192),
        (Traits(norms=("linf",), eps="magnitude"), linf),
        (Traits(norms=("linf", "l2"), eps="unused", measure="l2"), l2),
    ):
        found = on_flat(rogue(put(lambda rows: rows.images * 0 + 1), traits=traits), 100)
        assert found.rank.tolist() == [2]
        assert found.distance.tolist() == pytest.approx([distance], rel=1e-6)


def test_a_loss_aims_at_one_class_and_any_misclassification_counts(trained, attempts):
    import dataclasses

    from advcli.attacks.pgd import Pgd
    from advcli.search.flow import drive

    made = attempts(Pgd(steps=10), trained.classifier, trained.images, trained.labels, None, 0.1)
    aims = (trained.labels + 2) % 5
    aimed = [dataclasses.replace(one, aim=int(aim)) for one, aim in zip(made, aims, strict=True)]
    found = drive(aimed, early_exit=False)
    ended = torch.tensor([int(one.saved_logits.argmax()) for one in found])
    assert (ended == aims).float().mean() > 0.8
    assert sum(one.reached_as_saved for one in found) >= int((ended != trained.labels).sum()) > 35
