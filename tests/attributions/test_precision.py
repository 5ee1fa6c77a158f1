"""Maps in a run of low precision: those that rank pixels as in fp32, and those that are made in fp32 all the same."""

import pytest
import torch
from scipy.stats import spearmanr

from advcli.attributions._run import Request, explain_batch, kept_in_fp32, traits_of
from advcli.core.scores import Target
from advcli.registry import names, parse_methods


def asked(name):
    (method,) = parse_methods("attribution", [f"{name}:masks=60" if name == "rise" else name], "--method")
    return method


def maps_of(classifier, subject, *methods):
    requests = [Request(method, Target(subject.labels[:4])) for method in methods]
    digests = [str(place) for place in range(4)]
    return [one.maps for one in explain_batch(classifier, subject.images[:4], requests, seed=0, digests=digests)]


@pytest.mark.parametrize("name", names("attribution"))
def test_a_map_in_bf16_ranks_the_pixels_as_in_fp32_or_is_that_of_fp32(request, wrap, name):
    method = asked(name)
    attention = traits_of(method).watches == "attention"
    subject = request.getfixturevalue("trained_transformer" if attention else "trained")
    low = wrap(subject.network, classes=5, size=16, precision="bf16")
    (exact,), (found,) = (maps_of(one, subject, method) for one in (subject.classifier, low))
    if traits_of(method).fp32:
        assert (found == exact).all()
    else:
        alike = [spearmanr(one.ravel(), other.ravel()).statistic for one, other in zip(exact, found, strict=True)]
        assert sum(alike) / len(alike) >= 0.97  # of 16 x 16 pixels; larger pictures: tests/benchmarks/explain.py


def test_a_map_in_low_precision_does_not_depend_on_the_methods_beside_it(trained, wrap):
    low = wrap(trained.network, classes=5, size=16, precision="bf16")
    methods = [asked(name) for name in ("grad-cam", "gradient", "smoothgrad", "input-x-gradient")]
    together = maps_of(low, trained, *methods)
    alone = [maps_of(low, trained, method)[0] for method in methods]
    assert all((one == other).all() for one, other in zip(together, alone, strict=True))
    assert low.precision == "bf16"
    assert torch.equal(low.logits(trained.images[:4]), trained.classifier.logits(trained.images[:4]))


def test_what_keeps_fp32_is_told_once_where_it_matters():
    methods = [asked(name) for name in ("grad-cam", "occlusion", "gradient", "gradient")]
    assert kept_in_fp32(methods, "fp32") == []
    assert kept_in_fp32(methods[:1], "bf16") == []
    assert kept_in_fp32(methods[1:2], "fp16") == [
        "occlusion keeps fp32: its map would rank the pixels otherwise in fp16"
    ]
    (both,) = kept_in_fp32(methods, "bf16")
    assert both.startswith("occlusion, gradient keep fp32")
