"""The built-in samples are there without a download."""

import subprocess
import sys

import pytest

from advcli.errors import NoInputError
from advcli.images import samples as module
from advcli.images.reading import decode, read_bytes
from advcli.images.samples import samples


def test_the_samples_are_four_pictures_of_which_two_have_a_label():
    assert [(source.path, source.label) for source in samples()] == [
        ("cat.png", "cat"),
        ("horse.png", "horse"),
        ("rocket.jpg", None),
        ("coffee.png", None),
    ]
    sizes = [decode(read_bytes(source.location), source.path).size for source in samples()]
    assert sizes == [(451, 300), (400, 328), (640, 427), (600, 400)]


def test_listing_the_samples_imports_no_scikit_image():
    code = "import sys; from advcli.images.samples import samples; samples(); sys.exit('skimage' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("found", [None, "empty"])
def test_missing_samples_are_said_in_one_line(found, monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(module, "find_spec", lambda _: None if found is None else Spec)
    with pytest.raises(NoInputError, match="the built-in samples are missing"):
        samples()
