"""The page in a real browser: cards are made, choices are obeyed, names are harmless, the network is left alone."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from advcli.images.writing import png_bytes, write_atomically
from advcli.reports.page import render_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,900"),
    # Whatever the page or the browser itself asks for, no name leads anywhere.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
EVIL = '"><script>alert(1)</script>.png'
ELSEWHERE = "advcli-test.invalid"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on PATH to open the page with")


@pytest.fixture
def browse(tmp_path):
    """Open a page; give its DOM once its scripts have run, and the addresses that were asked for meanwhile."""

    def browsed(page: Path, fragment: str = "") -> tuple[str, list[str]]:
        log = tmp_path / "net.json"
        profile = tmp_path / "profile"
        address = f"file://{quote(str(page))}#{fragment}"
        command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", f"--log-net-log={log}", "--dump-dom", address]
        dom = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()
        events = json.loads(log.read_bytes())["events"]
        return dom, [str(event.get("params", {}).get("url", "")) for event in events]

    return browsed


@pytest.fixture
def page(tmp_path, report, write_ledger):
    def written(records):
        folder = tmp_path / "a run, 100 % #1"
        folder.mkdir(exist_ok=True)
        for one in records:
            for file in one.files.values():
                if ".." not in file and not file.startswith(("/", "http")):
                    write_atomically(folder / file, png_bytes(np.zeros((2, 2, 3), dtype=np.uint8)))
        render_page(report, write_ledger(folder, records), {"accuracy": b"<svg/>"}, folder / "index.html")
        return folder / "index.html"

    return written


def cards(dom: str) -> list[str]:
    return re.findall(r'<article class="card">.*?</article>', dom, flags=re.DOTALL)


def title(card: str) -> str:
    return re.search(r'<h3><button[^>]*title="([^"]*)"', card)[1]


def test_every_image_gets_a_card_with_its_pictures(browse, page, record, broken):
    dom, _ = browse(page([record(), broken(), record("dog/0001.png", fooled=False)]))
    assert [title(card) for card in cards(dom)] == ["cat/0000.png", "cat/broken.jpg", "dog/0001.png"]
    first, second, third = cards(dom)
    assert 'src="./images/cat/0000.png.original.png"' in first
    assert 'loading="lazy"' in first
    assert 'class="small"' in first, "a picture of few pixels was loaded from the disk, and is shown as squares"
    assert ">panel</a>" in first
    assert "Spearman 0.30" in first
    assert "image file is truncated" in second
    assert ">fooled<" in first
    assert ">held<" in third
    assert "3 records" in dom


def test_many_images_are_shown_a_batch_at_a_time(browse, page, record):
    dom, _ = browse(page([record(f"{number}.png", files={}) for number in range(2000)]))
    assert 60 <= len(cards(dom)) < 600
    assert "2,000 records" in dom


def test_choice_and_order_are_taken_from_the_address(browse, page, record, broken):
    run = [record("a.png", l2=0.5), record("b.png", l2=2.0), record("c.png", l2=1.0), record("d.png", fooled=False)]
    dom, _ = browse(page([*run, broken()]), "fooled=%3Dyes&order=l2&down=1")
    assert [title(card) for card in cards(dom)] == ["b.png", "c.png", "a.png"]
    assert "3 of 5 records" in dom
    dom, _ = browse(page([*run, broken()]), "order=l2")
    assert [title(card) for card in cards(dom)][-1] == "cat/broken.jpg", "what has no value comes last"
    dom, _ = browse(page(run), "text=NOTHING+LIKE+IT")
    assert not cards(dom)
    assert "0 of 4 records" in dom


def test_hostile_names_are_shown_and_do_nothing(browse, page, record):
    names = [EVIL, "<img src=x onerror=document.title='broken'>", "100%&#.png", "ä ö?.png", "javascript:alert(1)"]
    run = [record(name, label=name, files={"original": f"images/{index}.png"}) for index, name in enumerate(names)]
    dom, _ = browse(page(run))
    assert len(cards(dom)) == len(names)
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
    wishes = {"a": f"http://{ELSEWHERE}/a.png", "b": f"//{ELSEWHERE}/b.png", "c": f"https:{ELSEWHERE}/c.png"}
    dom, asked = browse(page([record(files=wishes)]))
    assert len(re.findall("<img", cards(dom)[0])) == 3
    assert not [address for address in asked if ELSEWHERE in address]
