"""What a sweep has found, as text."""

from collections.abc import Iterable

from autoencoder.sweep.description import Sweep
from autoencoder.sweep.study import Searcher, State


def ranked(states: Iterable[State]) -> list[State]:
    """The states with the most epochs first, and of these the best."""
    return sorted(states, key=lambda state: (-state.epochs, state.value, state.number))


def table(sweep: Sweep, states: list[State]) -> str:
    """The `ranked` states, and what each param is worth."""
    rows = [("state", "epochs", sweep.objective, *sweep.search)]
    rows += [
        (f"{sweep.name}-{state.number}", str(state.epochs), f"{state.value:.6g}", *map(str, state.point.values()))
        for state in states
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    tried = ", ".join(f"{rung.states} for {rung.epochs} epochs" for rung in sweep.rungs)
    lines.append(f"\n{len(states)} states are known of {tried}, by {sweep.method}.")
    worth = Searcher(sweep, {state.number: state for state in states}).importances()
    if worth:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in worth.items())
        lines.append(f"What each param is worth, after {sweep.rungs[0].epochs} epochs: {shares}.")
    return "\n".join(lines)
