"""Images as items of a run: read by threads in order, seen by each model in its own way, refused with the reason."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from advcli.core.goals import lead
from advcli.core.precision import exact
from advcli.images.finding import find
from advcli.images.labels import Labels
from advcli.models.loading import ModelRequest
from advcli.runs.classifiers import ClassifierRequest, choose_block, classifier_for, model_names
from advcli.runs.images import Reader, Unusable, items_of, look_at, pixels_of, read_ahead, top5


@pytest.fixture(scope="module")
def classifier():
    return classifier_for(ClassifierRequest(ModelRequest(), "cifar10-resnet20", "cpu", "fp32", None, 20))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for place in range(6):
        inside = tmp_path / ("cat" if place % 2 else "dog")
        inside.mkdir(exist_ok=True)
        Picture.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(inside / f"{place}.png")
    (tmp_path / "cat" / "broken.png").write_bytes(b"\x89PNG no picture")
    return tmp_path


def read(folder, reader, most=2):
    return list(read_ahead(((item, ()) for item in items_of(find([str(folder)]))), reader, most))


def test_images_are_read_in_listing_order_and_refused_with_the_reason(folder, classifier):
    images = read(folder, Reader.of([classifier], Labels("auto")))
    assert [one.item.identity for one in images] == [
        "cat/1.png", "cat/3.png", "cat/5.png", "cat/broken.png", "dog/0.png", "dog/2.png", "dog/4.png",
    ]  # fmt: skip
    refused = images[3]
    assert isinstance(refused, Unusable)
    record = refused.product().record
    assert (record.status, record.item, record.path, record.case) == ("error", "cat/broken.png", "cat/broken.png", None)
    assert record.bytes == 15
    assert [one.seen[0].label for one in images if one is not refused] == [3, 3, 3, 5, 5, 5]


def test_a_pickled_reader_is_small_and_reads_the_same(folder, classifier):
    reader = Reader.of([classifier], Labels("auto"), whole=True)
    packed = pickle.dumps(reader)
    assert len(packed) < 2000
    for one, other in zip(read(folder, reader), read(folder, pickle.loads(packed)), strict=True):
        if not isinstance(one, Unusable):
            assert one.sha256 == other.sha256
            assert np.array_equal(one.seen[0].pixels, other.seen[0].pixels)
            assert np.array_equal(one.picture, other.picture)


def test_every_model_sees_an_image_in_its_own_way(folder, classifier):
    small = replace(classifier.card.preprocessing, size=(16, 16), resize=20)
    reader = Reader((classifier.card, replace(classifier.card, preprocessing=small)), Labels("auto"))
    image = read(folder / "dog", reader)[0]
    assert [seen.pixels.shape for seen in image.seen] == [(3, 32, 32), (3, 16, 16)]
    assert image.is_input_of(reader.cards[0])
    assert not image.is_input_of(reader.cards[1])


def test_a_look_says_what_the_network_says(folder, classifier):
    images = read(folder / "dog", Reader.of([classifier], Labels("predicted")))
    clean = look_at(classifier, images, 0)
    logits = classifier.logits(pixels_of(classifier, images, 0))
    for place, one in enumerate(clean):
        assert one.prediction == one.label == int(logits[place].argmax())
        shares = logits[place].double().softmax(0)
        assert one.facts["probability"] == pytest.approx(float(shares.max()), rel=1e-12)
        top = [(top["name"], top["probability"]) for top in top5(exact(logits[place]), one.classes)]
        best = shares.topk(5)
        assert [name for name, _ in top] == [one.classes[index] for index in best.indices]
        assert [share for _, share in top] == pytest.approx(best.values.tolist(), rel=1e-12)
        values = logits[place].double()
        assert lead(exact(logits[place]), 3) == float(values[3] - values[[k for k in range(10) if k != 3]].max())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["resnet18", "cifar10-resnet20"], ["resnet18", "cifar10-resnet20"]),
        (["runs/a/model.safetensors", "resnet18"], ["model", "resnet18"]),
        (["runs/a/model.safetensors", "runs/b/model.safetensors"], ["a/model", "b/model"]),
    ],
)
def test_models_of_a_run_are_named_apart(names, expected):
    assert model_names([ModelRequest(name) for name in names]) == expected


def test_few_photographs_go_alone_and_everything_else_in_steady_blocks():
    import torch

    cpu = torch.device("cpu")
    assert choose_block(3, (224, 224), cpu) == 1
    assert choose_block(16, (224, 224), cpu) == 16
    assert choose_block(3, (32, 32), cpu) == 16


def test_reading_can_be_given_up(folder, classifier):
    images = read_ahead(
        ((item, ()) for item in items_of(find([str(folder)]))), Reader.of([classifier], Labels("auto")), 1
    )
    next(images)
    images.close()


def test_the_picture_of_an_image_is_where_it_was(folder, classifier):
    image = read(folder / "dog", Reader.of([classifier], Labels("auto")))[0]
    assert Path(image.facts["source"]).samefile(folder / "dog" / "0.png")
