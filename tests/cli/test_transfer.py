"""Transfer: the attack sees another network, and success is judged on the one that is attacked."""

import pytest
import torch
from PIL import Image

from advcli.engine._transferring import refuse_misfit
from advcli.errors import UsageError
from advcli.models.loading import ModelRequest, load_network

SURROGATE = """
import torch
from torch import nn

def other():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

def fewer():
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 7))
"""


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "nets.py").write_text(SURROGATE)
    return f"{tmp_path / 'nets.py'}:other"


def test_the_surrogate_gives_the_gradients_and_the_model_the_verdict(main, photos, out, lines, nets):
    command = ["attack", *sorted((photos / "cat").glob("*.png"))[:4], "--eps", "4/255,8/255", "--surrogate", nets]
    done = main(*command, "--size", "32", "--method", "transfer", "--method", "fgsm", "--no-panels", "--out", out)
    assert done.code == 0, done.err
    network, card = load_network(ModelRequest())
    how = card.preprocessing
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (how.mean, how.std))
    moved = [record for record in lines(out) if record["method"] == "transfer" and not record["implied"]]
    assert moved
    for record in moved:
        assert "-from-" in record["case"]
        assert record["settings"]["surrogate_fingerprint"]
        with Image.open(out / record["files"]["adversarial"]) as picture:
            pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        pixels = pixels.view(1, 32, 32, 3).movedim(3, 1).float() / 255
        with torch.no_grad():
            prediction = card.classes[int(network((pixels - mean) / std).argmax())]
        assert prediction == record["adversarial_prediction"]
        if record["forward_passes"]:
            assert record["forward_passes"] == 11
            assert record["linf"] == pytest.approx(record["eps"], abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "transfer"], "--surrogate MODEL"),
        (["--surrogate", "resnet18"], "--method transfer"),
        (["--method", "transfer", "--surrogate", "{fewer}", "--size", "32"], "other classes"),
        (["--method", "transfer", "--surrogate", "{other}", "--min-eps", "1/255"], "--min-eps"),
    ],
)
def test_what_makes_no_sense_is_refused(main, photos, out, nets, arguments, words):
    other = {"{other}": nets, "{fewer}": nets.replace(":other", ":fewer")}
    done = main("attack", photos / "cat" / "00.png", *(other.get(word, word) for word in arguments), "--out", out)
    assert done.code == 2
    assert words in done.err


def test_networks_of_different_sizes_are_refused(wrap):
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2))
    with pytest.raises(UsageError, match="test and test read pictures of different sizes: 8 x 8 and 9 x 9"):
        refuse_misfit(wrap(network, 2, 8), wrap(network, 2, 9))
