"""Ways to choose a target side by side, through the entry point: one table, one chart, one scale of differences."""

import numpy as np
import pytest
from PIL import Image

from advcli.figures.perturbations import difference, scale_limit


@pytest.mark.parametrize(("method", "norm", "eps"), [("ascent", None, None), ("pgd", "linf", 8 / 255)])
def test_differences_of_all_strategies_are_on_one_scale(main, photos, lines, tmp_path, method, norm, eps):
    rest = ("--limit", 2, "--labels", "predicted", "--scale", 1, "--no-panels", "--out", tmp_path / "o")
    done = main("attack", photos, "--method", method, "--target", "second", "--target", "least", *rest)
    assert done.code == 0
    assert len(list((tmp_path / "o" / "figures").glob(f"strategies-{method}*.svg"))) == 1
    found = lines(tmp_path / "o")
    assert {line["target_rule"] for line in found} == {"second", "least"}
    for line in found:
        before = np.asarray(Image.open(photos / line["item"]).convert("RGB"))
        files = [tmp_path / "o" / line["files"][kind] for kind in ("adversarial", "difference")]
        after, shown = (np.asarray(Image.open(file)) for file in files)
        assert (shown == difference(before, after, scale_limit(norm, eps, before.size))[0]).all()
