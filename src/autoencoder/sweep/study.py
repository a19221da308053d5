"""What is known of a sweep, read from DVC's experiments, and which point to try next, by Optuna."""

import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import md5 as md5_of
from autoencoder.files import read_json
from autoencoder.record import content, git, history, identity, lock, state
from autoencoder.sweep.description import Sweep

ATTEMPTS = 200  # to find a point that was not tried


@dataclass(frozen=True)
class State:
    """A finished state of a sweep: its number, its point, the objective that came out, and whether by other code."""

    number: int
    point: dict[str, Any]
    epochs: int
    value: float
    other_code: bool = False


def known(sweep: Sweep, numbers: Iterable[int]) -> dict[int, State]:
    """The finished ones of these states by number. Raises UserError for an experiment with other params."""
    commits = experiments(sweep.name)
    records = {number: history.recorded(commits[number]) for number in numbers if number in commits}
    figures = {number: stages["evaluate"].outs[str(paths.EVALUATION)] for number, stages in records.items()}
    if lacking := [commits[number] for number, md5 in figures.items() if not content.cached(md5).exists()]:
        history.fetch(lacking)
    return {number: _state(sweep, number, stages) for number, stages in records.items()}


def experiments(name: str) -> dict[int, str]:
    """The commits of the experiments NAME-1, NAME-2, … by number, of all baselines; of several the newest."""
    listed = git.checked("for-each-ref", "--sort=committerdate", "--format=%(objectname) %(refname)", "refs/exps")
    found = re.findall(rf"^(\w+) refs/exps/\w\w/\w+/{re.escape(name)}-(\d+)$", listed, re.MULTILINE)
    return {int(number): commit for commit, number in found}


def _state(sweep: Sweep, number: int, stages: dict[str, lock.Stage]) -> State:
    name, rung = f"{sweep.name}-{number}", sweep.rung(number)
    recorded = lock.flatten({name: value for stage in stages.values() for name, value in stage.params.items()})
    point = {param: recorded.get(param) for param in sweep.search}
    meant = sweep.grid[number - rung.offset - 1] if sweep.method == "grid" else point
    expected = identity.differences(identity.defining(sweep.base | meant | {"train.epochs": rung.epochs}))
    found = identity.differences(identity.defining(recorded))
    if found != expected:
        others = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
        raise UserError(
            f"{name}: expected a state of this sweep, found an experiment with another {', '.join(others)}; "
            f"give the sweep's file another name, or `dvc exp remove {name}`"
        )
    kept = content.cached(stages["evaluate"].outs[str(paths.EVALUATION)])
    if not kept.exists():
        raise UserError(f"{name}: its figures are not in DVC's cache; `dvc exp pull origin {name}`")
    figures = state.figures(read_json(kept))
    if sweep.objective not in figures:
        there = ", ".join(figure for figure in figures if figure.startswith("validation/"))
        raise UserError(f"sweep {sweep.name}: objective: expected one of {there}, found {sweep.objective!r}")
    modules = {path: md5 for stage in stages.values() for path, md5 in stage.deps.items() if path.endswith(".py")}
    other_code = any(not Path(path).exists() or md5_of(Path(path)) != md5 for path, md5 in modules.items())
    return State(number, point, rung.epochs, figures[sweep.objective], other_code)


class Searcher:
    """Proposes the points of a sweep's first rung. Optuna's study is in memory, made of the states that are known.

    A proposal depends on the point's number and, for `tpe`, on what is known: started again, it repeats none.
    Raises UserError if Optuna is not installed or refuses the sweep.
    """

    def __init__(self, sweep: Sweep, known: Iterable[State]) -> None:
        self.sweep, self.optuna = sweep, package()
        try:
            self.distributions = {name: self._distribution(values) for name, values in sweep.search.items()}
        except (TypeError, ValueError) as error:
            raise UserError(f"sweep {sweep.name}: search: expected lists, or low below high, found {error}") from None
        self.trials: dict[int, Any] = {}
        for found in known:
            if found.number in sweep.ladder[0].numbers:
                self.tell(found)

    def ask(self, number: int) -> dict[str, Any] | None:
        """The point of this number, or None if no other was found."""
        if self.sweep.method == "grid":
            return self.sweep.grid[number - 1]
        tried = [trial.params for trial in self.trials.values()]
        for attempt in range(ATTEMPTS):
            found = self._study(self._sampler(number * ATTEMPTS + attempt)).ask(self.distributions).params
            if found not in tried:
                self.trials[number] = self._trial(found, state=self.optuna.trial.TrialState.RUNNING)
                return {name: json.loads(value) if self._listed(name) else value for name, value in found.items()}
        return None

    def tell(self, found: State) -> None:
        """Add a finished state, in the place of the point that was proposed for its number."""
        point = {name: json.dumps(value) if self._listed(name) else value for name, value in found.point.items()}
        try:
            self.trials[found.number] = self._trial(point, value=found.value)
        except ValueError:
            raise UserError(
                f"{self.sweep.name}-{found.number}: expected a point of this sweep, found {found.point}; "
                "give the sweep's file another name"
            ) from None

    def importances(self) -> dict[str, float]:
        """What each param is worth for the objective, as shares of one; nothing where all states are equally good."""
        if len({trial.value for trial in self.trials.values()}) < 2:  # noqa: PLR2004
            return {}
        evaluator = self.optuna.importance.FanovaImportanceEvaluator(seed=0)
        return dict(self.optuna.importance.get_param_importances(self._study(), evaluator=evaluator))

    def _study(self, sampler: Any = None) -> Any:
        study = self.optuna.create_study(sampler=sampler)
        study.add_trials([self.trials[number] for number in sorted(self.trials)])
        return study

    def _trial(self, point: dict[str, Any], **result: Any) -> Any:
        return self.optuna.trial.create_trial(params=point, distributions=self.distributions, **result)

    def _listed(self, name: str) -> bool:
        return isinstance(self.sweep.search[name], list)

    def _sampler(self, seed: int) -> Any:
        samplers = self.optuna.samplers
        if self.sweep.method == "random":
            return samplers.RandomSampler(seed=seed)
        return samplers.TPESampler(seed=seed, constant_liar=True)

    def _distribution(self, values: Any) -> Any:
        kinds = self.optuna.distributions
        if isinstance(values, list):
            return kinds.CategoricalDistribution([json.dumps(value) for value in values])
        whole = type(values["low"]) is type(values["high"]) is int
        return (kinds.IntDistribution if whole else kinds.FloatDistribution)(**values)


def package() -> Any:
    """Optuna, an extra. Raises UserError if it is not installed."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise UserError(
            "expected optuna, with which a sweep chooses params, found it is not installed; "
            "uv pip install --require-hashes -r requirements-sweep.lock"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    return optuna
