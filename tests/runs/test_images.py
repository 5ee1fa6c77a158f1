"""Work travels: settings in, classifier loaded where it arrives."""

import pickle

import numpy as np

from advcli.engine.attack import AttackWork
from advcli.engine.attributing import Question
from advcli.engine.compare import CompareWork
from advcli.engine.setup import ClassifierRequest, classifier_for
from advcli.engine.stream import Image
from advcli.engine.threat import Threat
from advcli.images.sources import Source
from advcli.models.loading import ModelRequest
from advcli.registry import parse_methods


def test_a_pickled_work_is_small_and_does_the_same_work():
    request = ClassifierRequest(ModelRequest(), "cpu", "fp32", None, listed=20)
    threat = Threat(tuple(parse_methods("attack", ["pgd:steps=5", "fgsm"], "--attack")))
    question = Question(tuple(parse_methods("attribution", ["gradient", "grad-cam"], "--explain")))
    work = CompareWork(AttackWork(request, threat, seed=3, in_flight=4), question)
    packed = pickle.dumps(work)
    assert len(packed) < 5000
    rng = np.random.default_rng(0)
    images = [
        Image(
            Source(f"{place}.png", "x"),
            f"{place:064}",
            (32, 32),
            rng.integers(0, 256, (3, 32, 32), np.uint8),
            1,
            "folder",
        )
        for place in range(3)
    ]
    here = [product.record for product in work(images)]
    classifier_for.cache_clear()  # as in another process
    there = [product.record for product in pickle.loads(packed)(images)]
    assert here == there
    assert len(here) == work.per_image * len(images) == 6
