"""Help is instant, complete and true."""

import subprocess
import sys

import pytest

COMMANDS = ("attack", "compare", "esd", "explain", "mask", "noise-search", "saliency", "train")
HEAVY = {
    "torch",
    "torchvision",
    "numpy",
    "PIL",
    "rich",
    "pandas",
    "scipy",
    "skimage",
    "matplotlib",
    "pyarrow",
    "jinja2",
}


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys\n"
        f"sys.argv = ['advcli', *{arguments!r}]\n"
        "from advcli.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    print(stop.code, *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    status, *modules = done.stdout.splitlines()[-1].split()
    assert status == "0"
    assert HEAVY.isdisjoint(modules)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_fits_on_a_screen_and_has_three_examples(main, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    done = main(command, "--help")
    page = done.out.splitlines()
    assert done.code == 0
    assert len(page) <= 60
    assert max(map(len, page)) <= 80
    assert sum(line.startswith(f"  advcli {command}") for line in page) == 3
    assert "<bool>" not in done.out
    assert "--help-all" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_all_describes_every_option(main, command):
    short, everything = main(command, "--help").out, main(command, "--help-all").out
    assert "Folder of the run" not in short
    assert "Folder of the run" in everything
    options = {word.partition("/")[0] for word in short.split() if word.startswith("--")}
    described = {word.strip(",").partition("/")[0] for word in everything.split()}
    assert options <= described


def test_commands_are_the_files_of_the_engine(main):
    from advcli.cli import commands

    assert set(commands.names()) == set(COMMANDS)
    page = main("--help").out
    places = [page.index(f"\n  {name} ") for name in (*COMMANDS, "run", "model")]
    assert places == sorted(places)


@pytest.mark.parametrize("words", [[], ["run"], ["model"]])
def test_a_group_alone_prints_its_help_and_nothing_else(main, words):
    done = main(*words)
    assert done.code == 0
    assert done.out == main(*words, "--help").out
    assert done.err == ""


def test_version_is_the_packages(main):
    import advcli

    assert main("--version").out == f"advcli {advcli.__version__}\n"


def test_list_names_every_attack_with_settings_and_source(main):
    text = main("attack", "--list").out
    for name in ("ascent", "fgsm", "gaussian-noise", "pgd"):
        assert f"\n{name} (attack)" in f"\n{text}"
    assert "step_size=none" in text
    assert "https://arxiv.org/abs/1706.06083" in text


def test_schema_of_a_command_names_the_fields_of_its_records(main):
    schema = main("run", "schema", "attack").json()
    assert {"item", "path", "sha256", "misclassified_as_saved", "forward_passes", "files"} <= set(schema["properties"])
    assert "robust" not in schema["properties"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_schema(main, command):
    assert "item" in main("run", "schema", command).json()["properties"]
    assert "summary" in main("run", "schema", command, "--report").json()["properties"]


def test_layers_of_a_model_are_listed_in_the_order_of_the_network(main):
    text = main("model", "layers").out
    assert [line.split()[0] for line in text.splitlines() if line.endswith("default")] == ["layer3"]
    assert text.index("layer1") < text.index("layer2") < text.index("layer3")
