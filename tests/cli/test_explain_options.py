"""explain through the entry point: differences of classes, several layers, methods that do not suit the model."""

import numpy as np


def test_differences_add_up(main, photos, out):
    classes = ["--class", "predicted", "--class", "frog", "--class", "predicted, frog:difference"]
    options = ["--limit", "1", "--method", "gradient", "--npy", "--jsonl", "--out", out]
    found = {line["class_rule"]: line for line in main("explain", photos / "cat", *classes, *options).lines()}
    one, other, both = (
        np.load(out / found[rule]["files"]["npy"]) for rule in ("predicted", "frog", "predicted, frog:difference")
    )
    assert np.allclose(both, one - other, atol=1e-5 * np.abs(both).max())
    told = {rule: (record["explained"], record["explained_against"]) for rule, record in found.items()}
    predicted = found["predicted"]["prediction"]
    assert told == {
        "predicted": (predicted, None),
        "frog": ("frog", None),
        "predicted, frog:difference": (predicted, "frog"),
    }


def test_a_difference_is_of_two_classes_that_the_model_has(main, photos, out):
    for text in ("frog:difference", "a,b,c:difference", ",frog:difference", "frog,frog:difference"):
        done = main("explain", photos / "cat", "--class", text, "--out", out)
        assert done.code == 2
        assert "is not the difference of two classes" in done.err
    done = main("explain", photos / "cat", "--class", "frog,unicorn:difference", "--out", out)
    assert done.code == 2
    assert "the model has no class 'unicorn'" in done.err


def test_the_second_class_is_explained(main, photos, out):
    (line,) = main("explain", photos / "cat", "--limit", "1", "--class", "second", "--jsonl", "--out", out).lines()
    assert line["explained"] == line["top5"][1]["name"]


def test_layers_of_a_pattern_are_averaged(main, photos, out):
    layers = ["--layer", "layer3.*, layer2"]
    (line,) = main("explain", photos / "cat", "--limit", "1", *layers, "--jsonl", "--out", out).lines()
    assert line["layer"] == "layer3.0, layer3.1, layer3.2, layer2"
    done = main("explain", photos / "cat", "--layer", "nowhere.*", "--out", out)
    assert done.code == 2
    assert "has no layer with a map that matches 'nowhere.*'" in done.err


def test_a_method_that_does_not_suit_is_left_out_with_the_reason_and_the_others_go_on(main, photos, out):
    methods = ["--method", "attention-rollout", "--method", "gradient"]
    done = main("explain", photos / "cat", "--limit", "1", *methods, "--jsonl", "--out", out)
    assert [line["method"] for line in done.lines()] == ["gradient"]
    assert "left out: attention-rollout: cifar10-resnet20 has no attention that can be read" in done.err
    done = main("explain", photos / "cat", *methods[:2], "--out", out)
    assert done.code == 2
    assert "use a method that needs none, such as gradient" in done.err
