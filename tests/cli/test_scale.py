"""--scale: pictures for people are enlarged, those for networks are not."""

import numpy as np
import pytest
from PIL import Image

LOOKED_AT = {
    "attack": (["attack", "--method", "fgsm"], ["difference"], "adversarial"),
    "explain": (["explain", "--method", "gradient"], ["map", "overlay"], None),
    "compare": (["compare", "--attack", "fgsm", "--explain", "gradient"], ["gradient.before"], "adversarial"),
    "mask": (["mask", "--keep", "0.5", "--order", "map"], [], "masked"),
}


def pixels(out, line, kind):
    return np.asarray(Image.open(out / line["files"][kind]))


@pytest.mark.parametrize("name", LOOKED_AT)
def test_drawn_pictures_are_enlarged_and_networks_pictures_are_not(main, photos, tmp_path, lines, name):
    command, drawn, seen = LOOKED_AT[name]
    asked = [*command, photos, "--limit", "1"]
    outs = {scale: tmp_path / scale for scale in ("default", "1", "3")}
    for scale, out in outs.items():
        more = [] if scale == "default" else ["--scale", scale]
        assert main(*asked, *more, "--out", out).code == 0
    found = {scale: lines(out)[0] for scale, out in outs.items()}
    for kind in drawn:
        raw = pixels(outs["1"], found["1"], kind)
        assert raw.shape == (32, 32, 3)
        for scale, times in (("3", 3), ("default", 7)):
            larger = pixels(outs[scale], found[scale], kind)
            assert larger.shape == (32 * times, 32 * times, 3)
            assert kind == "overlay" or np.array_equal(larger, raw.repeat(times, 0).repeat(times, 1))
    if seen is not None:
        assert np.array_equal(pixels(outs["default"], found["default"], seen), pixels(outs["1"], found["1"], seen))
        assert pixels(outs["1"], found["1"], seen).shape == (32, 32, 3)
        assert pixels(outs["3"], found["3"], seen).shape[0] == (96 if seen == "masked" else 32)


def test_where_results_are_many_pictures_stay_raw(main, photos, out, lines):
    eps = ",".join(f"{place}/255" for place in range(1, 34))
    assert main("attack", photos, "--limit", "2", "--method", "fgsm", "--eps", eps, "--out", out).code == 0
    assert {pixels(out, line, "difference").shape for line in lines(out)} == {(32, 32, 3)}


@pytest.mark.parametrize("words", [["0"], ["65"], ["run"], ["x"], ["1.5"], ["-1"], ["2", "3"], [""]])
def test_another_scale_is_refused(main, photos, out, words):
    done = main("attack", photos, *[text for word in words for text in ("--scale", word)], "--out", out)
    assert done.code == 2
    assert "--scale" in done.err


def test_explain_takes_one_word_and_one_number(main, photos, out):
    for words in (["run", "image"], ["2", "run", "3"], ["other"]):
        done = main("explain", photos, *[text for word in words for text in ("--scale", word)], "--out", out)
        assert done.code == 2
    assert main("explain", photos, "--limit", "1", "--scale", "2", "--scale", "run", "--out", out).code == 0
