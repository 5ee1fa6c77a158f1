"""Help is instant, complete and true."""

import subprocess
import sys

import pytest

COMMANDS = ("saliency", "attack", "explain", "compare", "train")
HEAVY = {"torch", "torchvision", "numpy", "PIL", "pandas", "scipy", "skimage", "matplotlib", "pyarrow", "jinja2"}


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
def test_every_command_has_help_with_an_example(main, command):
    done = main(command, "--help")
    assert done.code == 0
    assert f"Example: advcli {command}" in " ".join(done.out.split())


def test_the_front_page_shows_the_questions_first(main):
    page = main("--help").out
    places = [page.index(f"│ {name} ") for name in (*COMMANDS, "run", "model")]
    assert places == sorted(places)


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
    assert {"path", "sha256", "fooled_as_saved", "passes", "files"} <= set(schema["properties"])
    assert "robust" not in schema["properties"]


def test_layers_of_a_model_are_listed_in_the_order_of_the_network(main):
    text = main("model", "layers").out
    assert text.index("layer1") < text.index("layer2") < text.index("layer3")
