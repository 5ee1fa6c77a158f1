"""The page: what it says, and that nothing in a name can break out of its place."""

import base64
import hashlib
import re
import resource
from html.parser import HTMLParser

import pytest

from advcli.reports.page import render_page
from advcli.reports.summary import NOTHING, Cell, tables

EVIL = '"><script>alert(1)</script>.png'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


class Outline(HTMLParser):
    """Tags and attributes of a page, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.fixture
def render(tmp_path, report, write_ledger):
    def rendered(records, charts=None, **changes):
        ledger = write_ledger(tmp_path, records)
        render_page(report.model_copy(update=changes), ledger, charts or {}, tmp_path / "index.html")
        return (tmp_path / "index.html").read_text(encoding="utf-8")

    return rendered


def test_the_page_tells_the_run(render, record, broken):
    page = render([record(), broken()], {"accuracy": SVG})
    assert "<title>advcli compare · cifar10-resnet20</title>" in page
    assert "advcli compare photos/ --out demo" in page
    assert "91.3 %" in page
    assert "[88.5, 93.6]" in page
    assert "[0.250, 0.370]" in page
    assert 'href="./tables/labels.csv"' in page
    assert base64.b64encode(SVG).decode() in page


def test_records_are_embedded_without_what_the_report_says_already(render, record, broken, embedded):
    first, second = embedded(render([record(), broken()]))
    assert first["files"] == {"original": "images/cat/0000.png.original.png", "panel": "images/cat/0000.png.panel.png"}
    assert first["similarity"]["grad-cam"]["spearman"] == 0.3
    assert not {"settings", "source", "sha256", "target"} & set(first)
    assert second == {"path": "cat/broken.jpg", "status": "error", "error": "image file is truncated"}


def test_values_that_are_false_or_zero_are_not_taken_for_nothing(render, record, embedded):
    (line,) = embedded(render([record(fooled=False, passes=0, l2=0.0)]))
    assert (line["fooled"], line["passes"], line["l2"]) == (False, 0, 0)


@pytest.mark.parametrize("evil", [EVIL, "</script>", "<!--<script>", "]]>", "\u2028\u2029", "'\"&amp;\\"])
def test_a_hostile_name_stays_in_its_place(render, report, evil, record, broken, embedded):
    hostile = record(evil, label=evil, prediction=evil, files={evil: f"images/{evil}.original.png"})
    settings = {evil: evil}
    page = render(
        [hostile, broken(evil, evil)],
        {evil: SVG},
        command_line=evil,
        preflight=(evil,),
        settings=settings,
        summary={evil: evil, "images": 2, "similarity": {evil: {evil: {"mean": 0.1, "low": 0.0, "high": 0.2}}}},
        model=report.model.model_copy(update={"name": evil, "classes": (evil,)}),
        tables={evil: evil},
    )
    lines = embedded(page)
    assert lines[0]["path"] == lines[1]["error"] == evil
    assert lines[0]["files"] == {evil: f"images/{evil}.original.png"}
    assert [tag for tag, _ in Outline(page).tags].count("script") == 2
    assert "<script>alert" not in page


def test_text_that_is_not_unicode_does_not_stop_the_page(render, record):
    assert "<pre>advcli ?.png</pre>" in render([record()], command_line="advcli \udcff.png")


def test_nothing_in_the_page_leads_to_the_network(render, record):
    page = render([record()], {"accuracy": SVG})
    addresses = [value for _, attrs in Outline(page).tags for name, value in attrs.items() if name in {"src", "href"}]
    assert addresses
    assert all(address.startswith(("./", "data:image/svg+xml")) for address in addresses)
    assert "://" not in re.sub(r"<script type=.*?</script>", "", page, flags=re.DOTALL)


def test_the_policy_allows_our_script_and_our_style_and_no_other(render, record):
    page = render([record()])
    (policy,) = [attrs["content"] for tag, attrs in Outline(page).tags if attrs.get("http-equiv")]
    assert policy.startswith("default-src 'none'")
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    names = {name for _, attrs in Outline(page).tags for name in attrs}
    assert not [name for name in names if name == "style" or name.startswith("on")], "the policy would refuse them"


def test_a_run_without_a_model_timings_or_figures_has_a_page(render, embedded):
    page = render([], model=None, timings=None, summary={}, tables={})
    assert embedded(page) == []
    assert "<h1>compare</h1>" in page


def test_memory_does_not_grow_with_the_number_of_records(tmp_path, report, record):
    line = record().model_dump_json() + "\n"
    (tmp_path / "records.jsonl").write_text(line * 100)
    render_page(report, tmp_path / "records.jsonl", {}, tmp_path / "index.html")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (tmp_path / "records.jsonl").write_text(line * 20_000)
    render_page(report, tmp_path / "records.jsonl", {}, tmp_path / "index.html")
    assert (tmp_path / "index.html").stat().st_size > 10_000_000
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60_000, "kilobytes; the lines themselves are 20,000"


def test_figures_are_written_for_people():
    (plain, nested, *rest) = tables(
        {
            "images": 10_000,
            "clean_accuracy": None,
            "clean_accuracy_low": None,
            "clean_accuracy_high": None,
            "robust_accuracy": 0.0,
            "robust_accuracy_low": 0.0,
            "robust_accuracy_high": 0.00724,
            "passes_per_image": 2.3125,
            "methods": {
                "pgd": {"attack_success_rate": 1.0, "attacked": 3},
                "fgsm": {"attack_success_rate": 0.5, "attack_success_rate_low": 0.1, "attack_success_rate_high": 0.9},
            },
        }
    )
    assert dict(plain.rows) == {
        "images": (Cell("10,000"),),
        "clean accuracy": (Cell(NOTHING),),
        "robust accuracy": (Cell("0.0 %", "[0.0, 0.7]"),),
        "passes per image": (Cell("2.31"),),
    }
    assert nested.header == ("attack success rate", "attacked")
    assert dict(nested.rows) == {
        "pgd": (Cell("100.0 %"), Cell("3")),
        "fgsm": (Cell("50.0 %", "[10.0, 90.0]"), Cell(NOTHING)),
    }
    assert not rest


def test_similarities_under_several_attacks_have_a_table_each():
    estimate = {"mean": 0.5, "low": 0.25, "high": 0.75, "images": 8}
    undefined = {"mean": None, "low": None, "high": None, "images": 0}
    similarity = {attack: {"grad-cam": {"ssim": estimate, "hog": undefined}} for attack in ("pgd", "fgsm")}
    _, first, second = tables({"similarity": similarity})
    assert (first.caption, second.caption) == ("Similarity, pgd", "Similarity, fgsm")
    assert dict(first.rows) == {"grad-cam": (Cell("0.500", "[0.250, 0.750]"), Cell(NOTHING))}


def test_the_page_of_the_same_run_is_the_same(render, record):
    assert render([record()], {"accuracy": SVG}) == render([record()], {"accuracy": SVG})
