"""What a record says of the point that an attack found: verdicts, sizes and costs, of the float point and as saved."""

from typing import Any

from advcli.core.goals import lead
from advcli.core.precision import exact
from advcli.search.outcome import Outcome


def outcome_facts(target: int, outcome: Outcome) -> dict[str, Any]:
    """Say what an attack's record says of one outcome.

    Args:
        target: class to reach, or -1.
        outcome: of the attack.
    """
    return {
        **_verdicts(target, outcome),
        "forward_passes": outcome.forward_passes,
        "backward_passes": outcome.backward_passes,
        "verification_passes": outcome.verification_passes,
        **outcome.change,
    }


def _verdicts(target: int, outcome: Outcome) -> dict[str, bool | None]:
    return {
        "misclassified": outcome.misclassified,
        "misclassified_as_saved": outcome.misclassified_as_saved,
        "target_reached": lead(exact(outcome.logits), target) > 0 if target >= 0 else None,
        "target_reached_as_saved": outcome.reached_as_saved if target >= 0 else None,
    }
