"""What a run tells at its end."""

from tests.nemesis.run import Found


def summary(found: Found, seed: int) -> str:
    """Operations by outcome, faults, and each violation on a line."""
    lines = [f"Seed {seed}, {found.seconds:.0f} s; {len(found.versions)} versions answered."]
    for kind in sorted({kind for kind, _ in found.operations}):
        outcomes = {outcome: count for (each, outcome), count in sorted(found.operations.items()) if each == kind}
        lines.append(f"  {kind}: {', '.join(f'{count} {outcome}' for outcome, count in outcomes.items())}")
    faults = ", ".join(f"{count} {name}" for name, count in sorted(found.faults.items()))
    lines.append(f"  faults: {faults or 'none'}")
    if not found.count:
        return "\n".join([*lines, "No promise was broken."])
    told = len(found.violations)
    lines.append(f"{found.count} violations{', the first of each rule' if told < found.count else ''}:")
    return "\n".join([*lines, *(f"  {violation}" for violation in found.violations)])
