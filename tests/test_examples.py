"""The examples, and the command that lists and runs them."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import ROOT, run

from autoencoder import article, params
from autoencoder.cli import main
from autoencoder.errors import UserError
from autoencoder.files import read_yaml
from autoencoder.record import examples, identity
from autoencoder.record.lock import put


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_every_example_is_right_and_says_what_to_look_at() -> None:
    assert len(examples.names()) >= 8
    for name in examples.names():
        values = read_yaml(ROOT / "params.yaml", remedy="")
        for key, value in examples.params(name).items():
            put(values, key, value)
        params.check(values)
        assert "ook at" in examples.about(name) or "Compare" in examples.about(name)
        assert examples.about(name).count("\n") == 0


def test_no_two_examples_are_the_same_state_and_one_is_the_articles() -> None:
    states = {name: identity.key(examples.params(name), "0") for name in examples.names()}
    assert len(set(states.values())) == len(states)
    assert states["article"] == identity.key(article.PARAMS, "0")


def test_an_example_sets_every_param_that_makes_a_state_but_the_machines() -> None:
    assert set(examples.params("deep")) == {name for name in article.PARAMS if not name.startswith("runtime.")}
    assert "--set-param" in examples.command("deep")
    assert "model.hidden=[1000, 500, 250]" in examples.command("deep")


def test_an_unknown_example_is_one_line_with_the_names() -> None:
    with pytest.raises(UserError, match=r"article, .*variational, found 'nonsense'"):
        examples.path("nonsense")


def test_the_command_lists_the_examples() -> None:
    done = CliRunner().invoke(main, ["example"])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.output.splitlines()] == examples.names()


@pytest.mark.slow
def test_an_example_runs_as_an_experiment_of_its_name_and_leaves_an_edited_workspace_alone(own_clone: Path) -> None:
    text = (own_clone / "params.yaml").read_text().replace("momentum: 0.5", "momentum: 0.9")
    (own_clone / "params.yaml").write_text(text)
    example = own_clone / "examples" / "tiny.yaml"
    example.write_text(
        "# Look at nothing.\ndata: {name: digits}\nmodel: {name: mlp, hidden: [9], code_dimensions: 2}\n"
        "constraint: {name: variational}\ntrain: {epochs: 1, log_every: 20}\n"
    )
    before = {path: path.stat().st_mtime_ns for name in ("metrics", "models") for path in (own_clone / name).rglob("*")}
    run("autoencoder", "example", "tiny", cwd=own_clone, timeout=280)
    assert (own_clone / "params.yaml").read_text() == text
    assert all(path.stat().st_mtime_ns == moment for path, moment in before.items())
    assert "tiny" in run("dvc", "exp", "list", "--name-only", cwd=own_clone).stdout.split()
    changed = run("dvc", "exp", "show", "--csv", cwd=own_clone).stdout
    assert "variational" in changed
