"""What is known of a sweep, read from DVC's experiments, and which point to try next, by Optuna."""

import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import read_json
from autoencoder.record import content, git, history, identity, lock, state
from autoencoder.sweep.description import Range, Sweep

if TYPE_CHECKING:
    import optuna

ATTEMPTS = 200  # to find a point that was not tried
DIGITS = 4  # of a number between two limits


@dataclass(frozen=True)
class State:
    """A finished state of a sweep: an experiment, its point, and what came out."""

    number: int
    commit: str
    point: dict[str, Any]
    epochs: int
    value: float
    code: str  # the hash of the code that trained it


def package() -> Any:
    """Optuna, an extra. Raises UserError if it is not installed."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise UserError(
            "expected optuna, which a sweep chooses params with, found it is not installed; "
            "uv pip install --require-hashes -r requirements-sweep.lock"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    return optuna


def known(sweep: Sweep, numbers: Iterable[int]) -> dict[int, State]:
    """The finished ones of these states by number, of all baselines. Raises UserError for one with other params."""
    there = experiments(sweep.name)
    commits = {number: there[number] for number in numbers if number in there}
    records = {number: _recorded(commit) for number, commit in commits.items()}
    figures = {number: stages["evaluate"].outs[str(paths.EVALUATION)] for number, stages in records.items()}
    if lacking := [commits[number] for number, md5 in figures.items() if not content.cached(md5).exists()]:
        history.fetch(lacking)
    return {number: _state(sweep, number, commits[number], stages) for number, stages in records.items()}


def experiments(name: str) -> dict[int, str]:
    """The commits of the experiments NAME-1, NAME-2, … by number; of several of one name the newest."""
    listed = git.checked("for-each-ref", "--sort=committerdate", "--format=%(objectname) %(refname)", "refs/exps")
    pattern = re.compile(rf"(\w+) refs/exps/\w\w/\w+/{re.escape(name)}-(\d+)")
    found = (pattern.fullmatch(line) for line in listed.splitlines())
    return {int(match[2]): match[1] for match in found if match}


def _recorded(commit: str) -> dict[str, lock.Stage]:
    """The stages that were run for the experiment `commit`, without what an earlier state has left in its dvc.lock."""
    stages = lock.recorded(git.committed(paths.LOCK, commit).decode())
    return {name: stage for name, stage in stages.items() if name not in lock.stale(stages)}


def _state(sweep: Sweep, number: int, commit: str, stages: dict[str, lock.Stage]) -> State:
    name = f"{sweep.name}-{number}"
    recorded = lock.flatten({name: value for stage in stages.values() for name, value in stage.params.items()})
    point = {param: recorded.get(param) for param in sweep.search}
    rung = sweep.rung(number)
    meant = sweep.grid()[number - rung.offset - 1] if sweep.method == "grid" else point
    expected = identity.differences(identity.defining(sweep.base | meant | {"train.epochs": rung.epochs}))
    found = identity.differences(identity.defining(recorded))
    if found != expected:
        others = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
        raise UserError(
            f"{name}: expected a state of this sweep, found an experiment with another {', '.join(others)}; "
            f"give the sweep's file another name, or `dvc exp remove {name}`"
        )
    value = _value(sweep, name, stages["evaluate"].outs[str(paths.EVALUATION)])
    return State(number, commit, point, rung.epochs, value, stages["train"].code)


def _value(sweep: Sweep, name: str, md5: str) -> float:
    """The objective of the state `name`, whose metrics/evaluation.json has this MD5."""
    if not content.cached(md5).exists():
        raise UserError(
            f"{name}: its figures are neither in DVC's cache nor in a remote; "
            f"`dvc exp pull origin {name}`, or `dvc exp remove {name}` to train it again"
        )
    figures = state.figures(read_json(content.cached(md5)))
    if sweep.objective not in figures:
        there = ", ".join(figure for figure in figures if figure.startswith("validation/"))
        raise UserError(f"sweep {sweep.name}: objective: expected one of {there}, found {sweep.objective!r}")
    return figures[sweep.objective]


class Searcher:
    """Proposes the points of a sweep's first rung. The study is in memory, made of the states that are `known`.

    What is proposed for a number depends on the number, and for `tpe` on the states known by then: a search that is
    started again proposes no point twice.
    """

    def __init__(self, sweep: Sweep, known: dict[int, State]) -> None:
        self.sweep, self.optuna = sweep, package()
        self.distributions = {name: self._distribution(values) for name, values in sweep.search.items()}
        self.study = self.optuna.create_study()
        self.taken: set[str] = set()
        self.asked: dict[int, optuna.Trial] = {}
        for number, found in known.items():
            if number <= sweep.rungs[0].states:
                self.tell(number, found)

    def ask(self, number: int) -> dict[str, Any] | None:
        """The point of this number, or None if no more was found that is new."""
        if self.sweep.method == "grid":
            return self.sweep.grid()[number - 1]
        for attempt in range(ATTEMPTS):
            self.study.sampler = self._sampler(number * ATTEMPTS + attempt)
            trial = self.study.ask(self.distributions)
            point = {name: self._value(name, value) for name, value in trial.params.items()}
            if json.dumps(point) not in self.taken:
                self.taken.add(json.dumps(point))
                self.asked[number] = trial
                return point
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
        return None

    def tell(self, number: int, found: State | None) -> None:
        """Add a finished state, or None for one whose training failed."""
        if number in self.asked:
            self.study.tell(self.asked.pop(number), state=self.optuna.trial.TrialState.FAIL)
        if found:
            self.taken.add(json.dumps(found.point))
            params = {name: self._internal(name, value) for name, value in found.point.items()}
            create = self.optuna.trial.create_trial
            try:
                trial = create(params=params, distributions=self.distributions, value=found.value)
            except ValueError:
                raise UserError(
                    f"{self.sweep.name}-{number}: expected a point of this sweep, found {found.point}; "
                    "give the sweep's file another name"
                ) from None
            self.study.add_trial(trial)

    def importances(self) -> dict[str, float]:
        """What each param is worth for the objective, as shares of one; nothing where that cannot be told."""
        evaluator = self.optuna.importance.FanovaImportanceEvaluator(seed=0)
        values = [trial.value for trial in self.study.get_trials(states=(self.optuna.trial.TrialState.COMPLETE,))]
        if values[1:] == values[:-1]:
            return {}
        return dict(self.optuna.importance.get_param_importances(self.study, evaluator=evaluator))

    def _sampler(self, seed: int) -> Any:
        samplers = self.optuna.samplers
        if self.sweep.method == "random":
            return samplers.RandomSampler(seed=seed)
        return samplers.TPESampler(seed=seed, constant_liar=True)

    def _distribution(self, values: list[Any] | Range) -> Any:
        kinds = self.optuna.distributions
        if isinstance(values, list):
            return kinds.CategoricalDistribution([json.dumps(value) for value in values])
        whole = type(values.low) is int and type(values.high) is int
        kind = kinds.IntDistribution if whole else kinds.FloatDistribution
        return kind(values.low, values.high, log=values.log)

    def _value(self, name: str, internal: Any) -> Any:
        """The value of the param `name` behind Optuna's; a number between limits is rounded."""
        values = self.sweep.search[name]
        if isinstance(values, list):
            return json.loads(internal)
        if type(internal) is int:
            return internal
        return min(max(float(f"{internal:.{DIGITS}g}"), values.low), values.high)

    def _internal(self, name: str, value: Any) -> Any:
        values = self.sweep.search[name]
        return json.dumps(next((v for v in values if v == value), value)) if isinstance(values, list) else value
