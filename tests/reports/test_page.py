"""The page: what it says, and that nothing in a name can break out of its place."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from advcli.core.records import CompareRecord, EpochRecord
from advcli.reports.page import render_page

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
    def rendered(records, charts=None, model=CompareRecord, **changes):
        ledger = write_ledger(tmp_path, records)
        render_page(report.model_copy(update=changes), model, ledger, charts or {}, tmp_path / "index.html")
        return (tmp_path / "index.html").read_text(encoding="utf-8")

    return rendered


def test_the_page_tells_the_run(render, record, broken):
    page = render([record(), broken()], {"accuracy": SVG})
    assert "<title>advcli compare · cifar10-resnet20</title>" in page
    assert "advcli compare photos/ --out demo" in page
    assert "<dd>91.3 %<small>[88.5, 93.6]</small></dd>" in page
    assert '<td data-title="mean">0.310<small>[0.250, 0.370]</small></td>' in page
    assert "<dt>median linf</dt><dd>4.0/255</dd>" in page
    assert "fgsm is given no target" in page
    assert 'href="./tables/labels.csv"' in page
    assert base64.b64encode(SVG).decode() in page


def test_cases_are_a_table_without_the_axes_that_their_ids_tell(render):
    page = render([])
    assert '<th scope="row">pgd-4_255</th>' in page
    header = re.findall(r"<summary>Cases</summary>.*?<thead>(.*?)</thead>", page, flags=re.DOTALL)[0]
    assert re.findall(r'col">(.*?)<', header) == ["case", "clean accuracy"]


def test_an_item_stands_once_with_its_cases_inside(render, record, broken, embedded):
    smaller = record(case="pgd-4_255", eps=4 / 255, adversarial_prediction="cat", misclassified=False)
    first, second = embedded(render([smaller, record(), broken()]))
    assert first["item"] == "cat/0000.png"
    assert (first["label"], first["prediction"], first["top5"]) == ("cat", "cat", [["cat", 0.98], ["dog", 0.01]])
    assert [one["case"] for one in first["cases"]] == ["pgd-4_255", "pgd-8_255"]
    assert [one["adversarial_prediction"] for one in first["cases"]] == ["cat", "dog"]
    assert [one["misclassified"] for one in first["cases"]] == [False, True]
    assert first["original"] == "images/cat/0000.png.original.png"
    assert first["cases"][0]["files"]["adversarial"] == "images/cat/0000.png.pgd-4_255.adversarial.png"
    assert second == {
        "item": "cat/broken.jpg",
        "source": "/photos/cat/broken.jpg",
        "status": "error",
        "error": "image file is truncated",
        "cases": [{}],
    }


def test_records_are_embedded_without_what_the_report_says_already(render, record, embedded):
    (item,) = embedded(render([record()]))
    assert item["similarity"] == {"grad-cam": {"spearman": 0.3, "ssim": 0.5}}
    assert not {"settings", "sha256", "target", "digests", "path"} & set(item)


def test_an_input_that_is_the_original_is_shown_from_where_it_lies(render, record, embedded, tmp_path):
    photo = tmp_path / "photos" / "x y.png"
    photo.parent.mkdir()
    photo.write_bytes(b"")
    (item,) = embedded(render([record(source=str(photo), files={})]))
    assert item["original"] == "photos/x y.png"
    (item,) = embedded(render([record(source=str(tmp_path / "gone.png"), files={})]))
    assert "original" not in item


def test_items_whose_records_do_not_stand_together_come_again(render, record, embedded):
    run = [record("a.png", "one"), record("b.png", "one"), record("a.png", "two")]
    assert [item["item"] for item in embedded(render(run))] == ["a.png", "b.png", "a.png"]


def test_values_that_are_false_or_zero_are_not_taken_for_nothing(render, record, embedded):
    (line,) = embedded(render([record(misclassified=False, forward_passes=0, l2=0.0)]))
    assert (line["misclassified"], line["forward_passes"], line["l2"]) == (False, 0, 0)


def test_fields_come_with_their_titles_and_roles(render, embedded):
    fields = {field["name"]: field for field in embedded(render([]), "fields")}
    assert fields["linf"] == {"name": "linf", "title": "linf", "role": "figure", "unit": "1/255", "terminal": True}
    assert "source" not in fields


@pytest.mark.parametrize("evil", [EVIL, "</script>", "<!--<script>", "]]>", "\u2028\u2029", "'\"&amp;\\"])
def test_a_hostile_name_stays_in_its_place(render, report, evil, record, broken, embedded):
    hostile = record(evil, evil, label=evil, prediction=evil, files={evil: f"images/{evil}.original.png"})
    page = render(
        [hostile, broken(evil, evil)],
        {evil: SVG},
        command_line=evil,
        preflight=(evil,),
        skipped=(evil,),
        settings={evil: evil},
        axes={evil: [evil]},
        summary={evil: evil, "images": 2, "cases": [{"case": evil, evil: evil}, {"case": evil}]},
        models=(report.models[0].model_copy(update={"name": evil, "classes": (evil,)}),),
        tables={evil: evil},
    )
    (item,) = embedded(page)
    assert item["item"] == item["cases"][1]["error"] == evil
    assert item["cases"][0]["files"] == {evil: f"images/{evil}.original.png"}
    assert [tag for tag, _ in Outline(page).tags].count("script") == 3
    assert "<script>alert" not in page


def test_text_that_is_not_unicode_does_not_stop_the_page(render, record):
    assert "<pre>advcli ?.png</pre>" in render([record()], command_line="advcli \udcff.png")


def test_nothing_in_the_page_leads_to_the_network(render, record):
    page = render([record()], {"accuracy": SVG})
    addresses = [value for _, attrs in Outline(page).tags for name, value in attrs.items() if name in {"src", "href"}]
    assert addresses
    assert all(address.startswith(("./", "data:image/svg+xml", "#")) for address in addresses)
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
    page = render([], models=(), timings=None, summary={}, tables={}, axes={})
    assert embedded(page) == []
    assert "<h1>compare</h1>" in page


def test_a_run_of_several_models_names_them(render, report):
    other = report.models[0].model_copy(update={"name": "resnet18"})
    page = render([], models=(*report.models, other), summary={"models": [{"model": "resnet18", "images": 3}]})
    assert "<h1>compare · cifar10-resnet20, resnet18</h1>" in page
    assert '<th scope="row">resnet18</th>' in page


def test_records_without_images_have_a_page(render, embedded):
    lines = [EpochRecord(item=f"{n:04d}", case="epoch", epoch=n, loss=1 / n) for n in (1, 2)]
    items = embedded(render(lines, model=EpochRecord, command="train"))
    assert [(one["epoch"], one["loss"]) for one in items] == [(1, 1.0), (2, 0.5)]


def test_memory_does_not_grow_with_the_number_of_records(growth, tmp_path, report):
    assert growth(tmp_path, report, "page") < 12_000, "kilobytes; the lines that are added are 24,000"
    assert (tmp_path / "index.html").stat().st_size > 15_000_000


def test_the_page_of_the_same_run_is_the_same(render, record):
    assert render([record()], {"accuracy": SVG}) == render([record()], {"accuracy": SVG})


def test_films_play_on_the_page_once_each_and_all_are_linked(render, report):
    films = {"esd-gif": "films/esd.gif", "esd-webp": "films/esd.webp", "weights-biases": "films/weights-biases.webp"}
    text = render([], summary={**report.summary, "films": {**films, "esd-mp4": "films/esd.mp4"}})
    assert "<dt>films</dt>" not in text
    page = Outline(text)
    shown = [(one["alt"], one["src"]) for tag, one in page.tags if tag == "img"]
    assert shown == [
        ("Film: esd", "./films/esd.gif"),
        ("Film: weights-biases", "./films/weights-biases.webp"),
    ]
    links = [one["href"] for tag, one in page.tags if tag == "a"]
    assert {f"./{file}" for file in (*films.values(), "films/esd.mp4")} <= set(links)


def test_a_run_without_films_has_no_place_for_them(render):
    assert 'aria-label="Films"' not in render([])
