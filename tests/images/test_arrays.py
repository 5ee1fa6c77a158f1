"""Labelled images in .npz files, CIFAR-10 as torchvision keeps it, and images that do not fit into memory."""

import hashlib
import pickle

import numpy as np
import pytest

from advcli.errors import NoInputError, UsageError
from advcli.images import holding
from advcli.images.arrays import load_arrays
from advcli.images.cifar10 import load_cifar10
from advcli.images.datasets import Reading

READING = Reading(8, 8)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def save(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return write


def test_images_labels_and_names_come_back(save, images):
    found = load_arrays(save(images=images, labels=[0, 1, 2, 0, 1, 0], classes=["cat", "dog", "eel"]), READING)
    assert np.array_equal(found.images, images)
    assert (found.labels.tolist(), found.classes) == ([0, 1, 2, 0, 1, 0], ("cat", "dog", "eel"))
    assert found.names[5] == "data.npz[5]"


def test_labels_without_names_are_numbers_and_names_without_numbers_are_sorted(save, images):
    assert load_arrays(save(images=images, labels=np.uint8([0, 2, 2, 0, 2, 0])), READING).classes == ("0", "1", "2")
    assert load_arrays(save(images=images, labels=np.uint8([0, 2, 2, 0, 2, 0])), READING).empty == ("1",)
    named = load_arrays(save(images=images, labels=["dog", "cat", "dog", "cat", "dog", "cat"]), READING)
    assert (named.classes, named.labels.tolist()) == (("cat", "dog"), [1, 0, 1, 0, 1, 0])


def test_classes_of_other_data_are_followed(save, images):
    path = save(images=images, labels=["dog", "cat"] * 3)
    assert load_arrays(path, READING, ("ant", "cat", "dog")).labels.tolist() == [2, 1] * 3
    with pytest.raises(UsageError, match="'dog' that is not one of ant, cat"):
        load_arrays(path, READING, ("ant", "cat"))


def test_images_of_another_size_are_resized(save, images):
    assert load_arrays(save(images=images, labels=[0, 1] * 3), Reading(16, 16)).images.shape == (6, 16, 16, 3)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": np.zeros((2, 8, 8, 3)), "labels": [0, 1]}, "float64"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "labels": [0, 1]}, r"\(2, 8, 8\)"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8), "labels": [0]}, "for 2 images"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8), "labels": [0, -1]}, "run from -1"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8), "labels": [0, 3], "classes": ["a", "b"]}, "for 2 classes"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8), "labels": [0.0, 1.0]}, "are float64"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8), "labels": ["a", "x"], "classes": ["a", "b"]}, "'x'"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8), "labels": [0, 1], "classes": ["a", "a"]}, "each once"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8)}, "no array 'labels'"),
        ({"images": np.zeros((0, 8, 8, 3), np.uint8), "labels": []}, r"\(0, 8, 8, 3\)"),
        ({"images": np.array([object()]), "labels": [0]}, "pickles"),
    ],
)
def test_rubbish_is_refused_and_named(save, arrays, said):
    with pytest.raises(UsageError, match=said) as caught:
        load_arrays(save(**arrays), READING)
    assert "data.npz" in caught.value.message


def test_what_is_no_such_file_is_refused(tmp_path, save, images):
    with pytest.raises(NoInputError):
        load_arrays(tmp_path / "none.npz", READING)
    path = save(images=images, labels=[0] * 6)
    whole = path.read_bytes()
    np.save(tmp_path / "one.npy", images)
    one = (tmp_path / "one.npy").read_bytes()
    for data in (b"", b"x", one, whole[:100], whole[:-30], pickle.dumps({"images": 1})):
        path.write_bytes(data)
        with pytest.raises(UsageError, match=r"data\.npz"):
            load_arrays(path, READING)


def test_what_does_not_fit_into_memory_lies_in_a_file(monkeypatch, save, images):
    monkeypatch.setattr(holding, "_free_memory", lambda: 1000)
    made = holding.room(6, 8)
    assert isinstance(made, np.memmap)
    made[:] = images
    assert np.array_equal(made, images)


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Ten training and two test pictures in the files that CIFAR-10 is distributed in."""
    from torchvision.datasets import CIFAR10

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "advcli" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(name, told):
        data = pickle.dumps(told)
        (folder / name).write_bytes(data)
        return name, hashlib.md5(data).hexdigest()

    def batch(count):
        return {"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8), "labels": list(range(count))}

    meta, digest = write("batches.meta", {"label_names": ["cat", "dog"]})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": meta, "key": "label_names", "md5": digest})
    monkeypatch.setattr(CIFAR10, "train_list", [write(f"data_batch_{place}", batch(2)) for place in range(5)])
    monkeypatch.setattr(CIFAR10, "test_list", [write("test_batch", batch(2))])
    return folder


def test_cifar10_is_read_as_it_is_distributed(cifar):
    train, test = load_cifar10(Reading(32, 32), download=False)
    assert (len(train), len(test), train.classes) == (10, 2, ("cat", "dog"))
    told = pickle.loads((cifar / "test_batch").read_bytes())
    assert np.array_equal(test.images, told["data"].reshape(2, 3, 32, 32).transpose(0, 2, 3, 1))
    assert train.names[3] == "train[3]"


def test_cifar10_that_is_damaged_or_missing_says_what_to_do(cifar, monkeypatch):
    (cifar / "test_batch").write_bytes(b"x")
    with pytest.raises(NoInputError, match="is not in") as caught:
        load_cifar10(Reading(32, 32), download=False)
    assert "--download" in caught.value.hint
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/none.tar.gz")
    with pytest.raises(NoInputError, match="cannot be had") as caught:
        load_cifar10(Reading(32, 32), download=True)
    assert str(cifar.parent) in caught.value.hint
