"""What the tests share: shapes checked at every call, networks whose behavior is known, rows to attack."""

from jaxtyping import install_import_hook

# The rooms whose annotations carry shapes. The hook must come before anything imports them.
install_import_hook(
    [
        "advcli.core",
        "advcli.attacks",
        "advcli.attributions",
        "advcli.models.classifier",
        "advcli.models.looking",
        "advcli.models.folding",
        "advcli.models.layers",
        "advcli.models.probing",
        "advcli.models.view",
        "advcli.models.sweep",
        "advcli.search",
    ],
    "beartype.beartype",
)

# ruff: noqa: E402  the hook above only sees what is imported after it
import copy
import signal
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advcli.attacks.pgd import Pgd
from advcli.core.attack import Composed
from advcli.core.goals import Goal
from advcli.core.randomness import key
from advcli.core.rows import Rows
from advcli.models.card import Card, Preprocessing
from advcli.models.classifier import Classifier
from advcli.search.attempt import Attempt
from advcli.search.flow import drive, flow
from advcli.search.passes import UNBOUNDED
from advcli.search.plans import AttackPlan, Problem, attack_job

# For networks this small a second thread costs more than it brings, on a busy machine very much more; and a network
# that is trained here should not depend on how many there are.
torch.set_num_threads(1)

# Examples are the same in every run, and a busy machine is no failure.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("repeatable")

MEAN, STD = (0.45, 0.5, 0.55), (0.2, 0.25, 0.3)  # that the trained network is used to
DUAL = {"linf": 1, "l2": 2, "l1": float("inf")}  # the norm of the gradient that goes with each norm of the step


def pytest_configure():
    """Let runs be interrupted also where a shell started the tests in the background, with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared():
    """Folder of data sets and checkpoints beside the repository, where there is one."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("there is no ../shared beside the repository")
    return folder


def card_of(classes, size, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)):
    names = tuple(f"class {place}" for place in range(classes))
    return Card("test", "custom", "test", names, Preprocessing((size, size), size, mean=mean, std=std))


def attempts_of(attack, classifier, images, label, target=None, eps=8 / 255, seed=0):
    """Make one attempt per image; ``eps`` is one radius for all or one per image."""
    eps = torch.as_tensor(eps, dtype=torch.float32).expand(len(label)).tolist()
    target = torch.full_like(label, -1) if target is None else target
    return [
        Attempt(classifier, attack, images[k], int(label[k]), int(target[k]), eps=eps[k], key=key_of(k, seed))
        for k in range(len(label))
    ]


def key_of(place, seed=0):
    return tuple(key(seed, f"picture {place}", "test"))


def rows_of(images, label, target=None, eps=8 / 255, seed=0):
    """Make new rows, one per image; ``eps`` is one radius for all or one per row."""
    zero = torch.zeros_like(label)
    return Rows(
        index=torch.arange(len(label)), images=images, adversarial=images.clone(), label=label,
        target=zero - 1 if target is None else target, aim=zero - 1, age=zero, budget=zero + UNBOUNDED,
        eps=torch.as_tensor(eps, dtype=torch.float32).expand(len(label)).clone(), forward_passes=zero,
        backward_passes=zero, key=torch.tensor([key_of(place, seed) for place in range(len(label))]), drawn=zero,
    )  # fmt: skip


@dataclass(frozen=True)
class Found:
    """The outcomes of several attempts, put together: tensors with the attempts first."""

    pixels: Tensor
    saved: Tensor
    logits: Tensor
    saved_logits: Tensor
    misclassified: Tensor
    misclassified_as_saved: Tensor
    rank: Tensor  # 0 for no success, 1 for one in float alone, 2 for one as saved
    distance: Tensor
    forward_passes: Tensor
    backward_passes: Tensor
    verification_passes: Tensor
    steps: Tensor
    goal: Goal

    def __getitem__(self, places):
        """Take some of the outcomes."""
        taken = {name: value[places] for name, value in vars(self).items() if name != "goal"}
        return Found(**taken, goal=Goal(self.goal.label[places], self.goal.target[places]))

    def differences(self, other):
        """Name what is not the same to the bit."""
        names = [name for name in vars(self) if name != "goal"]
        return [name for name in names if not torch.equal(getattr(self, name), getattr(other, name))]


def found_of(attempts, outcomes):
    def joined(name):
        values = [getattr(outcome, name) for outcome in outcomes]
        return torch.stack(values) if isinstance(values[0], Tensor) else torch.tensor(values)

    names = [name for name in Found.__dataclass_fields__ if name != "goal"]
    label, target = (torch.tensor([getattr(one, name) for one in attempts]) for name in ("label", "target"))
    return Found(**{name: joined(name) for name in names}, goal=Goal(label, target))


def composed(attack, attempts, **options):
    """Run a composed attack on the images of attempts, with random numbers that follow from their keys."""

    def job(place, one):
        logits = one.classifier.logits(one.image[None])[0]
        problem = Problem(one.classifier, one.image, logits, one.label, str(one.key), seed=0)
        (answer,) = yield from attack_job(problem, AttackPlan(attack, "test", one.target, (one.eps,)))
        return place, answer.outcome

    jobs = (job(place, one) for place, one in enumerate(attempts))
    found = dict(flow(jobs, **{"batch_size": None, **options}))
    return [found[place] for place in range(len(attempts))]


@pytest.fixture(scope="session")
def run_attack():
    """Attack images, one attempt each, and put the outcomes together: see ``attempts_of`` and ``drive``.

    ``places`` takes some of the images, in that order; each has the random numbers that it has among all.
    """

    def run(attack, classifier, images, label, target=None, eps=8 / 255, seed=0, places=None, **options):
        stages = isinstance(attack, Composed)
        attempts = attempts_of(Pgd() if stages else attack, classifier, images, label, target, eps, seed)
        attempts = attempts if places is None else [attempts[place] for place in places]
        outcomes = composed(attack, attempts, **options) if stages else drive(attempts, **options)
        return found_of(attempts, outcomes)

    return run


@pytest.fixture(scope="session")
def attempts():
    """Make attempts: see ``attempts_of``."""
    return attempts_of


@pytest.fixture(scope="session")
def make_rows():
    """Make new rows: see ``rows_of``."""
    return rows_of


@pytest.fixture(scope="session")
def make_card():
    """Describe a network with square input: see ``card_of``."""
    return card_of


@pytest.fixture(scope="session")
def wrap():
    """Wrap a network from pixels to logits in a classifier."""

    def make(network, classes=2, size=8, **options):
        return Classifier(network, card_of(classes, size), **options)

    return make


@dataclass(frozen=True)
class HalfSpace:
    """A linear classifier, and pictures on both sides of its boundaries and well inside [0, 1].

    Logits are ``weight @ pixels + bias``; everything about them is known in closed form.
    """

    classifier: Classifier
    weight: Tensor  # float64 (K, d)
    bias: Tensor  # float64 (K,)
    images: Tensor  # (N, 3, H, W) on the grid of eight-bit pictures
    label: Tensor  # (N,) the class that is highest

    def logits(self, images: Tensor) -> Tensor:
        return images.double().flatten(1) @ self.weight.T + self.bias

    def distances(self, norm: str) -> Tensor:
        """(N, K) distance of each image to its boundary with each class; infinite for its own."""
        logits = self.logits(self.images)
        gaps = logits.gather(1, self.label[:, None]) - logits
        across = self.weight[self.label][:, None] - self.weight  # (N, K, d)
        distances = gaps / across.norm(p=DUAL[norm], dim=2)
        return distances.scatter(1, self.label[:, None], float("inf"))

    def downhill(self) -> Tensor:
        """(N, 3, H, W) float64: for two classes, the gradient along which each image leaves its label."""
        away = self.weight[1 - self.label] - self.weight[self.label]
        return away.view(len(self.images), *self.images.shape[1:])


def half_space_of(count, classes=2, size=8):
    """Make a linear classifier and ``count`` pictures at 0.2 to 1.2 (l2) from the boundary between two classes."""
    generator = torch.Generator().manual_seed(classes)
    d = 3 * size * size
    weight = torch.randn(classes, d, generator=generator, dtype=torch.float64)
    sides = torch.arange(count) % classes
    away = weight[sides] - (weight.sum(0) - weight[sides]) / (classes - 1)
    lengths = 0.2 + torch.rand(count, 1, generator=generator, dtype=torch.float64)
    noise = 0.1 * (torch.rand(count, d, generator=generator, dtype=torch.float64) - 0.5)
    images = 0.5 + noise + lengths * away / away.norm(dim=1, keepdim=True)
    images = ((images * 255).round() / 255).float().view(count, 3, size, size)
    linear = nn.Linear(d, classes)
    linear.weight.data, linear.bias.data = weight.float(), -0.5 * weight.sum(1).float()
    weight, bias = linear.weight.detach().double(), linear.bias.detach().double()
    classifier = Classifier(nn.Sequential(nn.Flatten(), linear), card_of(classes, size))
    label = (images.double().flatten(1) @ weight.T + bias).argmax(1)
    assert images.min() > 0.02
    assert images.max() < 0.98
    return HalfSpace(classifier, weight, bias, images, label)


@pytest.fixture(scope="session")
def half_space():
    """Make a half-space problem: see ``half_space_of``."""
    return half_space_of


class Normalized(nn.Module):
    """A network with its normalization in front of it, computed in a precision of its own."""

    def __init__(self, network, mean, std, dtype=torch.float32):
        super().__init__()
        self.network = copy.deepcopy(network).to(dtype)
        self.mean, self.std = (torch.tensor(value, dtype=dtype).view(3, 1, 1) for value in (mean, std))

    def forward(self, pixels):
        """Map float32 pixels in [0, 1] to float32 logits."""
        return self.network((pixels.to(self.mean.dtype) - self.mean) / self.std).float()


@dataclass(frozen=True)
class Trained:
    """A small convolutional network that has learned something.

    ``network`` maps pixels in [0, 1] to logits, and ``classifier`` is ours, batch norms folded. ``exact_network`` and
    ``exact`` are the same in float64, rounded to float32 once at the end: where two ways to one answer are compared,
    nothing is left that rounding could excuse.
    """

    network: nn.Module
    classifier: Classifier
    exact_network: nn.Module
    exact: Classifier
    images: Tensor  # (40, 3, 16, 16) on the grid of eight-bit pictures, none seen in training
    labels: Tensor


def patterns(count, seed):
    """Draw stripes, checks, blobs and rings in random colors: pictures (count, 3, 16, 16) on the grid, and classes."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(count) % 5
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(count, *(shape or (1, 1)), generator=generator)

    wave = uniform(0.9, 1.4)
    rows, columns = (wave * y + uniform(0, 6)).sin(), (wave * x + uniform(0, 6)).sin()
    radius = ((y - uniform(6, 9)).square() + (x - uniform(6, 9)).square()).sqrt()
    shapes = torch.stack([rows, columns, rows * columns * 1.5, 1 - radius / 4, (radius * 1.2).cos()], 1)
    shape = shapes[torch.arange(count), label].clamp(-1, 1)[:, None]
    images = 0.5 + 0.2 * shape * uniform(0.5, 1, 3, 1, 1) + 0.03 * torch.randn(count, 3, 16, 16, generator=generator)
    return (images.clamp(0, 1) * 255).round() / 255, label


def convolutions():
    """Three convolutions with batch norms, of which one ReLU is in place; average pooling; five classes."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
        nn.Conv2d(16, 24, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        nn.Conv2d(24, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5),
    )  # fmt: skip


class Tokens(nn.Module):
    """Patches of the picture as tokens, behind a class token, with positions."""

    def __init__(self, size, patch, width):
        super().__init__()
        self.cut = nn.Conv2d(3, width, patch, stride=patch)
        count = (size[0] // patch) * (size[1] // patch)
        self.token = nn.Parameter(torch.randn(1, 1, width) / 4)
        self.positions = nn.Parameter(torch.randn(1, count + 1, width) / 4)

    def forward(self, pixels):
        patches = self.cut(pixels).flatten(2).movedim(2, 1)
        return torch.cat([self.token.expand(len(patches), -1, -1), patches], 1) + self.positions


class AttentionBlock(nn.Module):
    """Attention on normalized tokens, then two layers on each token, both beside a skip connection."""

    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.layers = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens):
        normalized = self.norm1(tokens)
        tokens = tokens + self.attention(normalized, normalized, normalized, need_weights=False)[0]
        return tokens + self.layers(self.norm2(tokens))


class FirstToken(nn.Module):
    """The class token alone."""

    def forward(self, tokens):
        return tokens[:, 0]


def transformer_of(size=(16, 16), classes=5, patch=4, width=24, heads=3, depth=2):
    """A vision transformer with a class token, like torchvision's and very much smaller."""
    blocks = [AttentionBlock(width, heads) for _ in range(depth)]
    return nn.Sequential(
        Tokens(size, patch, width), *blocks, nn.LayerNorm(width), FirstToken(), nn.Linear(width, classes)
    )


@pytest.fixture(scope="session")
def transformer():
    """Make a small vision transformer: see ``transformer_of``."""
    return transformer_of


@pytest.fixture(scope="session")
def trained_transformer():
    """Train a small vision transformer, once."""
    return train_on_patterns(transformer_of, rate=0.005, epochs=12)


@pytest.fixture(scope="session")
def trained():
    """Train a network, once; the caller's random numbers are left as they were."""
    return train_on_patterns(convolutions, rate=0.01, epochs=8)


def train_on_patterns(make, rate, epochs):
    images, label = patterns(500, seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = Normalized(make(), MEAN, STD)
        optimizer = torch.optim.Adam(learner.parameters(), rate)
        for _ in range(epochs):
            for batch in torch.randperm(len(images)).split(50):
                loss = F.cross_entropy(learner(images[batch]), label[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    test_images, test_labels = patterns(500, seed=1)
    trained = trained_of(learner.network, test_images[:40], test_labels[:40])
    assert (trained.classifier.logits(test_images).argmax(1) == test_labels).float().mean() > 0.95
    return trained


def trained_of(network, images, labels):
    network = network.eval().requires_grad_(requires_grad=False)
    exact_network = Normalized(network, MEAN, STD, torch.float64).eval()
    return Trained(
        Normalized(network, MEAN, STD).eval(),
        Classifier(copy.deepcopy(network), card_of(5, 16, MEAN, STD)),
        exact_network,
        Classifier(copy.deepcopy(exact_network), card_of(5, 16)),
        images,
        labels,
    )


@pytest.fixture(scope="session")
def smooth(trained):
    """The trained network with GELU for ReLU: on a kink, a pixel's last bit decides between two gradients."""
    network = copy.deepcopy(trained.network.network)
    for place in (2, 5, 8):
        network[place] = nn.GELU()
    return trained_of(network, trained.images, trained.labels)
