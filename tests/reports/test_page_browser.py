"""The page in a real browser: cards are made, choices are obeyed, names are harmless, the network is left alone."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from advcli.core.records import CompareRecord, EpochRecord
from advcli.images.writing import png_bytes, write_atomically
from advcli.reports.page import render_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Whatever the page or the browser itself asks for, no name leads anywhere.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
EVIL = '"><script>alert(1)</script>.png'
ELSEWHERE = "advcli-test.invalid"
NARROW = 390

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on PATH to open the page with")


@pytest.fixture
def browse(tmp_path):
    """Open a page; give its DOM once its scripts have run, and the addresses that were asked for meanwhile."""

    def browsed(page: Path, fragment: str = "") -> tuple[str, list[str]]:
        log = tmp_path / "net.json"
        profile = tmp_path / "profile"
        address = f"file://{quote(str(page))}#{fragment}"
        size = "--window-size=1200,900"
        command = [BROWSER, *FLAGS, size, f"--user-data-dir={profile}", f"--log-net-log={log}", "--dump-dom", address]
        dom = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()
        events = json.loads(log.read_bytes())["events"]
        return dom, [str(event.get("params", {}).get("url", "")) for event in events]

    return browsed


@pytest.fixture
def ask(browse):
    """Let a page do something once it has started, and give what that came to, as JSON."""

    def asked(page: Path, code: str, fragment: str = "", width: int | None = None):
        text = page.read_text()
        # Without its policy, which would rightly refuse a script that is not ours.
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
        script = f"<script>document.title = JSON.stringify((() => {{ {code} }})());</script>"
        other = page.with_name("asked.html")
        other.write_text(text.replace("</body>", f"{script}</body>"))
        if width is not None:  # a window is never narrower than 500 pixels, a frame can be
            frame = page.with_name("frame.html")
            frame.write_text(
                f'<iframe width="{width}" height="900" src="asked.html#{fragment}"></iframe>'
                "<script>onmessage = (event) => { document.title = event.data; }</script>"
            )
            other.write_text(
                other.read_text()
                .replace("document.title = ", "parent.postMessage(")
                .replace("})());<", '})()), "*");<')
            )
            other, fragment = frame, ""
        dom, _ = browse(other, fragment)
        return json.loads(unescape(re.search("<title>(.*?)</title>", dom, flags=re.DOTALL)[1]))

    return asked


@pytest.fixture
def page(tmp_path, report, write_ledger):
    def written(records, model=CompareRecord, **changes):
        folder = tmp_path / "a run, 100 % #1"
        folder.mkdir(exist_ok=True)
        for one in records:
            for file in one.files.values():
                if ".." not in file and not file.startswith(("/", "http")):
                    write_atomically(folder / file, png_bytes(np.zeros((2, 2, 3), dtype=np.uint8)))
        ledger = write_ledger(folder, records)
        render_page(report.model_copy(update=changes), model, ledger, {"accuracy": b"<svg/>"}, folder / "index.html")
        return folder / "index.html"

    return written


def cards(dom: str) -> list[str]:
    return re.findall(r'<article class="card">.*?</article>', dom, flags=re.DOTALL)


def title(card: str) -> str:
    return unescape(re.search(r'<h3><a[^>]*title="([^"]*)"', card)[1])


def dialog(dom: str) -> str:
    found = re.search(r"<dialog[^>]* open.*?</dialog>", dom, flags=re.DOTALL)
    return found[0] if found else ""


def words(html: str) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def two_cases(record, item="cat/0000.png"):
    held = {"misclassified": False, "misclassified_as_saved": False, "adversarial_prediction": "cat", "linf": 4 / 255}
    return [record(item, "pgd-4_255", eps=4 / 255, **held), record(item)]


def test_an_image_is_shown_once_with_its_cases_inside(browse, page, record, broken):
    dom, _ = browse(page([*two_cases(record), broken(), *two_cases(record, "dog/0001.png")]))
    assert [title(card) for card in cards(dom)] == ["cat/0000.png", "cat/broken.jpg", "dog/0001.png"]
    first, second, _ = cards(dom)
    assert first.count('src="./images/cat/0000.png.original.png"') == 1
    assert 'src="./images/cat/0000.png.pgd-4_255.adversarial.png"' in first
    assert 'loading="lazy"' in first
    assert 'class="small"' in first, "a picture of few pixels was loaded from the disk, and is shown as squares"
    text = words(first)
    assert "misclassified 1 of 2" in text
    assert text.count("taken for cat 0.98") == 1
    assert "pgd-4_255 then for cat 0.71" in text
    assert "pgd-8_255 then for dog 0.71" in text
    assert "linf 4.0/255 · l2 0.87 · panel" in text
    assert "grad-cam: spearman 0.30, ssim 0.50" in text
    assert "image file is truncated" in words(second)
    assert "3 items, 5 results" in words(dom)


def test_records_of_an_item_that_do_not_stand_together_are_one_card(browse, page, record):
    one, other = two_cases(record)
    dom, _ = browse(page([one, record("b.png"), other]))
    assert [title(card) for card in cards(dom)] == ["cat/0000.png", "b.png"]
    assert "pgd-8_255" in words(cards(dom)[0])


def test_many_images_are_shown_a_batch_at_a_time(browse, page, record):
    dom, _ = browse(page([record(f"{number}.png", files={}, source="") for number in range(2000)]))
    assert "2,000 items" in words(dom)
    dom, _ = browse(page([record(f"{number}.png") for number in range(300)]))
    assert 60 <= len(cards(dom)) < 300


def test_choice_and_order_are_taken_from_the_address(browse, page, record, broken):
    run = [record("a.png", l2=0.5), record("b.png", l2=2.0), record("c.png", l2=1.0)]
    run.append(record("d.png", misclassified=False))
    dom, _ = browse(page([*run, broken()]), "misclassified=%3Dyes&order=l2&down=1")
    assert [title(card) for card in cards(dom)] == ["b.png", "c.png", "a.png"]
    assert "3 of 5 items" in words(dom)
    dom, _ = browse(page([*run, broken()]), "order=l2")
    assert [title(card) for card in cards(dom)][-1] == "cat/broken.jpg", "what has no value comes last"
    dom, _ = browse(page(run), "text=NOTHING+LIKE+IT")
    assert not cards(dom)
    assert "0 of 4 items" in words(dom)


def test_a_choice_of_cases_leaves_the_others_out_of_their_card(browse, page, record):
    dom, _ = browse(page(two_cases(record)), "case=%3Dpgd-8_255")
    (card,) = cards(dom)
    assert "pgd-4_255" not in card
    assert "1 item, 1 of 2 results" in words(dom)


def test_a_link_leads_to_one_image_under_one_case(browse, page, record):
    written = page([*two_cases(record), *two_cases(record, "ä #&/b?.png")])
    dom, _ = browse(written)
    link = unescape(re.search(r'<a href="#(item=[^"]*)"[^>]*>ä', dom)[1])
    dom, _ = browse(written, link + "&shown=pgd-8_255")
    text = words(dialog(dom))
    assert text.startswith("ä #&/b?.png")
    assert "eps 8.0/255" in text
    assert "spearman 0.30" in text
    dom, _ = browse(written, "item=no+such+item")
    assert not dialog(dom)


def test_original_and_result_flicker_in_the_dialog_and_stop(ask, page, record):
    seen = ask(
        page(two_cases(record)),
        """
        const images = [...document.querySelectorAll(".canvas img")];
        const visible = () => images.filter((image) => !image.hidden).map((image) => image.alt);
        const seen = [visible()];
        document.querySelector(".blink").click();
        seen.push(visible(), blinking > 0);
        document.querySelector(".blink").click();
        seen.push(visible(), blinking);
        byId("close").click();
        return seen;
        """,
        "item=cat%2F0000.png",
    )
    assert seen == [["adversarial"], ["original"], True, ["adversarial"], 0]


def test_the_chosen_are_saved_as_paths_or_as_records(ask, page, record):
    paths, lines, saved = ask(
        page([*two_cases(record), record("b.png")]),
        """
        const saved = [];
        HTMLAnchorElement.prototype.click = function () { saved.push([this.download, this.href.slice(0, 5)]); };
        byId("paths").dispatchEvent(new Event("click"));
        byId("lines").dispatchEvent(new Event("click"));
        return [chosenPaths(), chosenLines(), saved];
        """,
        "case=%3Dpgd-8_255",
    )
    assert paths == ["/photos/cat/0000.png", "/photos/b.png"]
    first = json.loads(lines[0])
    assert len(lines) == 2
    assert (first["item"], first["path"], first["case"]) == ("cat/0000.png", "cat/0000.png", "pgd-8_255")
    assert first["files"]["adversarial"] == "images/cat/0000.png.pgd-8_255.adversarial.png"
    assert saved == [["paths.txt", "blob:"], ["records.jsonl", "blob:"]]


def test_confusions_are_counted_over_what_is_chosen(ask, page, record):
    run = [*two_cases(record), *two_cases(record, "b.png"), record("c.png", label_source="predicted")]
    code = """
        byId("confusion").open = true;
        confusion();
        const rows = [...document.querySelectorAll("#matrix tbody tr")];
        return rows.map((row) => [...row.children].map((cell) => cell.textContent));
    """
    assert ask(page(run), code) == [["cat", "2", "2"], ["dog", "", ""]]
    assert ask(page(run), code, "case=%3Dpgd-8_255") == [["cat", "", "2"], ["dog", "", ""]]
    before = code.replace("confusion();", 'byId("confusion").dataset.field = "prediction"; confusion();', 1)
    assert ask(page(run), before) == [["cat", "2"]], "a clean prediction counts once for each image"


@pytest.mark.parametrize("fragment", ["", "item=cat%2F0000.png"])
def test_nothing_scrolls_sideways_on_a_telephone(ask, page, record, broken, fragment):
    long = "a" * 150
    run = [
        *two_cases(record),
        record(long + ".png", long, label=long, files={"original": "images/x.png"}),
        broken(long, long),
    ]
    settings = {"key_" + long: long}
    code = """
        for (const fold of document.querySelectorAll("details")) fold.open = true;
        const inner = [document.documentElement, ...document.querySelectorAll("dialog[open], .card, table, dl")];
        const wide = inner.filter((one) => one.scrollWidth > one.clientWidth + 1);
        return [innerWidth, wide.map((one) => `${one.tagName} ${one.className} ${one.scrollWidth}`)];
    """
    width, wide = ask(page(run, settings=settings, command_line=long), code, fragment, NARROW)
    assert width == NARROW
    assert not wide


def test_records_without_pictures_are_a_table(browse, page):
    epochs = [EpochRecord(item=f"{n:04d}", case="epoch", epoch=n, loss=1 / n, test_accuracy=0.5) for n in (1, 2, 3)]
    dom, _ = browse(page(epochs, EpochRecord, command="train"), "order=loss")
    assert not cards(dom)
    (body,) = re.findall(r'<div id="gallery".*?<tbody>(.*?)</tbody>', dom, flags=re.DOTALL)
    rows = [words(row) for row in re.findall("<tr>(.*?)</tr>", body, flags=re.DOTALL)]
    assert [row.split()[0] for row in rows] == ["0003", "0002", "0001"]
    assert "0.333" in rows[0]
    dom, _ = browse(page(epochs, EpochRecord), "item=0002")
    assert "loss 0.5" in words(dialog(dom))


def test_hostile_names_are_shown_and_do_nothing(browse, page, record):
    names = [EVIL, "<img src=x onerror=document.title='broken'>", "100%&#.png", "ä ö?.png", "javascript:alert(1)"]
    names.append("__proto__")
    run = [
        record(name, name, label=name, prediction=name, files={"original": f"images/{index}.png"})
        for index, name in enumerate(names)
    ]
    dom, _ = browse(page(run))
    assert [title(card) for card in cards(dom)] == names
    assert "<title>advcli compare · cifar10-resnet20</title>" in dom
    assert "<script>alert" not in re.sub(r"<script type=.*?</script>", "", dom, flags=re.DOTALL).replace("&quot;", "")


def test_names_of_files_are_encoded_such_that_they_are_found(browse, page, record):
    files = {"original": "images/100 % #1?&\"'<ü>.png"}
    dom, _ = browse(page([record(files=files)]))
    assert 'class="small"' in cards(dom)[0], "the picture was found and loaded"


def test_the_network_is_never_asked_even_if_a_record_wants_it(browse, page, tmp_path, record):
    control = tmp_path / "control.html"
    control.write_text(f'<img src="http://{ELSEWHERE}/control.png">')
    _, asked = browse(control)
    assert any(ELSEWHERE in address for address in asked), "a page that does ask is seen to ask"
    wishes = {"a": f"http://{ELSEWHERE}/a.png", "b": f"//{ELSEWHERE}/b.png", "original": f"https:{ELSEWHERE}/c.png"}
    dom, asked = browse(page([record(files=wishes)]))
    assert len(re.findall("<img", cards(dom)[0])) == 3
    assert not [address for address in asked if ELSEWHERE in address]
