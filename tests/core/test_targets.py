"""Which class an attack is to reach."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from advcli.core.targets import choose_targets

RULES = ("second", "least", "random")


def digests(count):
    return [f"picture {place}" for place in range(count)]


@given(st.integers(0, 2**31), st.integers(2, 8), st.sampled_from(RULES))
def test_a_rule_never_chooses_the_label_nor_needlessly_the_prediction(seed, classes, rule):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(-2, 3, (20, classes), generator=generator).float()  # with many ties
    label = torch.randint(0, classes, (20,), generator=generator)
    target = choose_targets(rule, logits, label, 0, digests(20))
    assert ((target >= 0) & (target < classes)).all()
    assert (target != label).all()
    if classes > 2:
        assert (target != logits.argmax(1)).all()


def test_second_and_least_follow_the_order_of_the_logits():
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0]]).repeat(4, 1)
    label = torch.tensor([0, 1, 2, 3])
    assert choose_targets("second", logits, label, 0, digests(4)).tolist() == [1, 2, 1, 1]
    assert choose_targets("least", logits, label, 0, digests(4)).tolist() == [3, 3, 3, 2]


def test_without_a_rule_there_is_no_target():
    assert choose_targets("none", torch.zeros(3, 4), torch.arange(3), 0, digests(3)).tolist() == [-1] * 3


def test_a_class_is_a_class():
    assert choose_targets(2, torch.zeros(3, 4), torch.arange(3), 0, digests(3)).tolist() == [2] * 3


def test_random_targets_belong_to_the_picture_and_the_seed():
    logits = torch.zeros(200, 10)
    logits[:, 4] = 1.0
    label = torch.full((200,), 4)
    first = choose_targets("random", logits, label, 0, digests(200))
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    again = choose_targets("random", logits, label, 0, [digests(200)[place] for place in order])
    assert torch.equal(again, first[order])
    assert torch.equal(choose_targets("random", logits[:1], label[:1], 0, digests(1)), first[:1])
    assert not torch.equal(choose_targets("random", logits, label, 1, digests(200)), first)
    counts = first.bincount(minlength=10)
    assert counts[4] == 0
    assert counts[counts > 0].min() >= 10  # 22 are expected of each of the nine others
    assert (counts > 0).sum() == 9


@pytest.mark.parametrize("rule", RULES)
def test_with_two_classes_the_target_is_the_other(rule):
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(2, 1)
    label = torch.tensor([0, 0, 1, 1])
    assert choose_targets(rule, logits, label, 0, digests(4)).tolist() == [1, 1, 0, 0]


def test_a_rank_counts_from_the_prediction_and_the_label_stands_last():
    logits = torch.tensor([[4.0, 3.0, 2.0, 1.0]]).repeat(2, 1)
    label = torch.tensor([0, 2])  # the second picture is misclassified
    ranked = [choose_targets(f"rank:{rank}", logits, label, 0, digests(2)).tolist() for rank in (2, 3, 4)]
    assert ranked == [[1, 1], [2, 3], [3, 2]]


@given(st.integers(0, 2**31), st.integers(2, 8))
def test_the_second_rank_is_second_and_the_last_of_what_is_right_is_least(seed, classes):
    logits = torch.randint(-2, 3, (20, classes), generator=torch.Generator().manual_seed(seed)).float()
    label = logits.argmax(1)
    for rank, rule in ((2, "second"), (classes, "least")):
        found = choose_targets(f"rank:{rank}", logits, label, 0, digests(20))
        assert torch.equal(found, choose_targets(rule, logits, label, 0, digests(20)))
