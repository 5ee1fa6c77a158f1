"""--figure-format and --dpi: the same charts as SVG, PNG or PDF, whatever draws them."""

import struct

import pytest

FEW = ["--limit", "2", "--method", "gradient", "--method", "edge", "--no-panels"]


def size(png):
    return struct.unpack(">II", png[16:24])


def test_charts_are_files_of_the_format_that_was_asked_for(main, photos, out):
    begins = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}
    for kind in ("png", "svg", "pdf"):
        done = main("explain", photos / "cat", *FEW, "--figure-format", kind, "--json", "--out", out)
        assert done.code == 0, done.err
        report = done.json()
        assert (report["figure_format"], report["dpi"]) == (kind, None)
        assert {path.suffix for path in (out / "figures").iterdir()} == {f".{kind}"}  # those of before are gone
        assert report["figures"]
        for path in report["figures"].values():
            data = (out / path).read_bytes()
            assert data.startswith(begins[kind]) or (kind == "svg" and data.startswith(b"<svg"))
        assert "data:image/svg+xml" in (out / "index.html").read_text()


def test_dots_per_inch_scale_charts_and_leave_sheets_of_pictures(main, photos, out):
    sizes = {}
    for dpi in (100, 300):
        options = ["--figure-format", "png", "--dpi", dpi, "--method", "fgsm", "--method", "uniform-noise"]
        done = main("attack", photos / "cat", "--limit", "2", *options, "--no-panels", "--json", "--out", out)
        assert done.json()["dpi"] == dpi
        sizes[dpi] = size((out / done.json()["figures"]["accuracy"]).read_bytes())
    assert sizes[300] == pytest.approx([3 * side for side in sizes[100]], abs=3)
    sheets = []
    for dpi in (100, 300):
        options = ["--figure-format", "png", "--dpi", dpi]
        done = main("explain", photos / "cat", *FEW, *options, "--json", "--out", out / "maps")
        sheets.append((out / "maps" / done.json()["figures"]["all-methods"]).read_bytes())
    assert sheets[0] == sheets[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dpi", "300"], ["--dpi 300 is of no use to svg", "--figure-format png"]),
        (["--dpi", "300", "--figure-format", "pdf"], ["--dpi 300 is of no use to pdf"]),
        (["--dpi", "0", "--figure-format", "png"], ["--dpi 0"]),
        (["--figure-format", "jpg"], ["'jpg'", "svg"]),
    ],
)
def test_what_has_no_meaning_is_refused_before_the_model_is_loaded(main, photos, out, options, words):
    done = main("attack", photos, "--model", "no-such-model", *options, "--out", out)
    assert done.code == 2
    assert all(word in done.err for word in words), done.err
