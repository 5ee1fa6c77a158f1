"""A result depends on the picture, the settings and the seed: not on batches, order, interruption or company."""

import os
import signal
import subprocess
import sys
import time

import pytest


def pictures(out):
    return {path.relative_to(out): path.read_bytes() for path in sorted((out / "images").rglob("*.png"))}


@pytest.fixture(scope="module")
def reference(tmp_path_factory, photos, advcli):
    out = tmp_path_factory.mktemp("reference") / "run"
    done = advcli("compare", photos, "--explain", "grad-cam", "--explain", "gradient", "--out", out)
    assert done.code == 0, done.err
    return out


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7, 256])
def test_batch_size_changes_nothing(main, photos, reference, out, size):
    done = main("compare", photos, "--explain", "grad-cam", "--explain", "gradient", "--batch-size", size, "--out", out)
    assert done.code == 0, done.err
    assert (out / "records.jsonl").read_bytes() == (reference / "records.jsonl").read_bytes()
    assert pictures(out) == pictures(reference)


@pytest.mark.slow
def test_order_changes_nothing(main, photos, reference, out, records):
    backwards = sorted((path for path in photos.rglob("*.png")), reverse=True)
    listed = "\n".join(map(str, backwards)).encode()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "advcli",
            "compare",
            "-",
            "--explain",
            "grad-cam",
            "--explain",
            "gradient",
            "--out",
            out,
        ],
        input=listed,
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    by_digest = {record["sha256"]: record for record in records(reference).values()}
    for record in records(out).values():
        same = {key: value for key, value in record.items() if key not in ("item", "path", "source", "files")}
        assert same == {
            key: value
            for key, value in by_digest[record["sha256"]].items()
            if key not in ("item", "path", "source", "files")
        }
        for kind, path in record["files"].items():
            assert (out / path).read_bytes() == (reference / by_digest[record["sha256"]]["files"][kind]).read_bytes()


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_end(main, photos, reference, out):
    command = ["compare", photos, "--explain", "grad-cam", "--explain", "gradient", "--out", out]
    running = subprocess.Popen(
        [sys.executable, "-m", "advcli", *map(str, command), "--batch-size", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ledger = out / "records.jsonl"
    deadline = time.monotonic() + 120
    while not (ledger.exists() and ledger.read_bytes().count(b"\n") >= 4):
        assert running.poll() is None, "finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    kept = ledger.read_bytes().count(b"\n")
    assert 0 < kept < 24
    done = main(*command)
    assert done.code == 0, done.err
    assert "results were done before" in done.err
    assert ledger.read_bytes() == (reference / "records.jsonl").read_bytes()
    assert pictures(out) == pictures(reference)


@pytest.mark.slow
def test_sigterm_keeps_what_is_finished_and_leaves_with_143(photos, out, records):
    running = subprocess.Popen(
        [sys.executable, "-m", "advcli", "compare", str(photos), "--batch-size", "1", "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    ledger = out / "records.jsonl"
    deadline = time.monotonic() + 120
    while not (ledger.exists() and ledger.read_bytes().count(b"\n") >= 4):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.terminate()
    assert running.wait(60) == 143
    assert all((out / path).exists() for record in records(out).values() for path in record["files"].values())
    assert b"Traceback" not in running.stderr.read()
    running.stderr.close()


@pytest.mark.slow
def test_an_interrupted_run_says_what_it_kept_and_how_to_go_on(photos, out):
    slowly = ["--method", "pgd:steps=20", "--no-early-exit", "--batch-size", "1"]
    running = subprocess.Popen(
        [sys.executable, "-m", "advcli", "attack", str(photos), *slowly, "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    ledger = out / "records.jsonl"
    deadline = time.monotonic() + 120
    while not (ledger.exists() and ledger.read_bytes().count(b"\n") >= 2):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    kept = ledger.read_bytes().count(b"\n")
    assert f"error: interrupted; kept {kept} of 24 results" in err.decode()
    assert "hint: the same command goes on from there" in err.decode()
    assert "Traceback" not in err.decode()


def test_a_finished_run_is_not_done_again(main, photos, out):
    main("attack", photos / "cat", "--out", out)
    before = {path: path.stat().st_mtime_ns for path in (out / "images").rglob("*.png")}
    done = main("attack", photos / "cat", "--out", out, "--json")
    assert done.json()["timings"]["images"] == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "images").rglob("*.png")} == before


@pytest.mark.parametrize("damage", ["torn line", "missing picture", "changed file"])
def test_what_is_not_whole_is_done_again(main, photos, tmp_path, out, damage, records):
    folder = tmp_path / "own" / "cat"
    folder.mkdir(parents=True)
    for path in sorted((photos / "cat").iterdir())[:4]:
        (folder / path.name).write_bytes(path.read_bytes())
    main("attack", folder.parent, "--out", out)
    whole = records(out)
    ledger = out / "records.jsonl"
    if damage == "torn line":
        ledger.write_bytes(ledger.read_bytes()[:-20])
    elif damage == "missing picture":
        (out / whole["cat/01.png"]["files"]["adversarial"]).unlink()
    else:
        (folder / "01.png").write_bytes((photos / "dog" / "00.png").read_bytes())
        os.utime(folder / "01.png", (time.time() + 5, time.time() + 5))
    done = main("attack", folder.parent, "--out", out, "--json")
    assert done.json()["timings"]["images"] == 1
    now = records(out)
    assert len(ledger.read_text().splitlines()) == 4
    if damage == "changed file":
        assert now["cat/01.png"]["sha256"] != whole.pop("cat/01.png")["sha256"]
        now.pop("cat/01.png")
    assert now == whole


def test_one_command_leaves_what_two_that_add_up_to_it_leave(main, photos, tmp_path):
    both = ["--method", "fgsm", "--method", "pgd"]
    main("attack", photos / "cat", *both, "--eps", "2/255,8/255", "--out", tmp_path / "one")
    main("attack", photos / "cat", "--method", "pgd", "--eps", "8/255", "--out", tmp_path / "two")
    main("attack", photos / "cat", *both, "--eps", "2/255,8/255", "--out", tmp_path / "two")
    assert pictures(tmp_path / "one").keys() == pictures(tmp_path / "two").keys()
    one, two = ((tmp_path / name / "records.jsonl").read_bytes() for name in ("one", "two"))
    assert sorted(one.splitlines()) == sorted(two.splitlines())


def test_other_settings_are_refused_and_overwrite_throws_the_run_away(main, photos, out, records):
    main("attack", photos / "cat", "--method", "fgsm", "--out", out)
    refused = main("attack", photos / "cat", "--method", "fgsm", "--seed", "5", "--out", out)
    assert refused.code == 2
    assert "seed 0 there, 5 now" in refused.err
    assert "--overwrite" in refused.err
    assert main("attack", photos / "cat", "--method", "fgsm", "--seed", "5", "--out", out, "--overwrite").code == 0
    assert len(records(out)) == 8
