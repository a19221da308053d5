"""Training goes on from a kept state as if it had never stopped, and nothing else is ever taken for such a state."""

import itertools
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import ROOT, read_to, run, small, start
from safetensors.torch import save

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.models.saved import Description
from autoencoder.params import Train
from autoencoder.training import resume
from autoencoder.training.loop import Training

FACTS = {"torch": "1"}
OUTPUTS = ("models/autoencoder.safetensors", "metrics/training.csv", "metrics/steps.csv")


def make(digits, *, optimizer="sgd", code_dimensions=4, seed=1, epochs=3) -> Training:
    model = Description("linear", code_dimensions, (1, 1, 64)).build(seed)
    settings = Train(
        loss="mse",
        weight_decay=0.0,
        epochs=epochs,
        batch_size=16,
        optimizer=optimizer,
        learning_rate=0.01,
        momentum=0.5,
        log_every=7,
    )
    return Training(model, digits, settings, seed=seed, device=torch.device("cpu"))


def result(training: Training) -> tuple[object, ...]:
    weights = [weight.tolist() for weight in training.model.parameters()]
    return weights, training.steps, training.history


@pytest.fixture
def eager(monkeypatch) -> None:
    """Every chance to keep a state is taken."""
    monkeypatch.setattr(resume, "SECONDS", 0)
    monkeypatch.setattr(resume, "EPOCH_SECONDS", 0)


@pytest.fixture
def said() -> list[str]:
    return []


def keep_states(training: Training, chunks: int, say) -> None:
    """Train for some chunks and stop as a kill would: what was kept stays."""
    with resume.Keeper(training, "key", FACTS, say) as keeper:
        for progress in itertools.islice(training.run(), chunks):
            keeper.keep(epoch_finished=progress.finished is not None)
            if keeper.writing:
                keeper.writing.result()  # every state reaches the disk, however slow it is


def finish(training: Training, say, key="key", facts=FACTS) -> tuple[object, ...]:
    with resume.Keeper(training, key, facts, say) as keeper:
        keeper.restore()
        for progress in training.run():
            keeper.keep(epoch_finished=progress.finished is not None)
        keeper.discard()
    return result(training)


def states() -> list[Path]:
    return sorted(paths.RESUME.glob("*/*.state"))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_from_any_state_training_ends_in_the_same_numbers(digits, optimizer, monkeypatch):
    monkeypatch.setattr("autoencoder.training.loop.CHUNK_IMAGES", 500)
    whole = make(digits, optimizer=optimizer)
    kept = [whole.state(), *(whole.state() for _ in whole.run())]
    assert len(kept) > 6
    for state in kept:
        resumed = make(digits, optimizer=optimizer, seed=2)
        resumed.restore(state)
        list(resumed.run())
        assert result(resumed) == result(whole)


@pytest.mark.usefixtures("workspace", "eager")
def test_states_are_resumed_and_removed_on_success(digits, said):
    keep_states(make(digits), 4, said.append)
    assert len(states()) == 2
    assert finish(make(digits), said.append) == finish(make(digits), said.append, key="another")
    (line,) = said
    assert line.startswith("resuming after ")
    assert states() == []


@pytest.mark.usefixtures("workspace", "eager")
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_longer_training_goes_on_from_a_shorter_one_that_was_asked_to_stay(digits, said, monkeypatch, optimizer):
    straight = {epochs: finish(make(digits, optimizer=optimizer, epochs=epochs), said.append) for epochs in (1, 3)}
    monkeypatch.setenv(paths.KEPT_IN, "kept")
    assert finish(make(digits, optimizer=optimizer, epochs=1), said.append) == straight[1]
    assert said == []
    assert finish(make(digits, optimizer=optimizer, epochs=3), said.append) == straight[3]
    assert said == ["resuming after 94 batches"]
    assert finish(make(digits, optimizer=optimizer, epochs=1), said.append) == straight[1], (
        "what lies beyond is no help"
    )
    assert len(said) == 1
    assert states() == []


@pytest.mark.usefixtures("workspace", "eager")
def test_a_shorter_training_keeps_its_own_states_beside_those_of_a_longer_one(digits, said):
    straight = {epochs: finish(make(digits, epochs=epochs), said.append, key="another") for epochs in (1, 3)}
    keep_states(make(digits, epochs=3), 5, said.append)
    beyond = states()
    assert [int(path.stem) for path in beyond] == [134, 174]  # 94 batches are an epoch
    keep_states(make(digits, epochs=1), 2, said.append)
    assert [int(path.stem) for path in states()] == [40, 80, 134, 174]
    assert finish(make(digits, epochs=1), said.append) == straight[1]
    assert states()[-2:] == beyond
    assert finish(make(digits, epochs=3), said.append) == straight[3]
    assert said == ["resuming after 80 batches", "resuming after 174 batches"]
    assert states() == []


@pytest.mark.usefixtures("workspace", "eager")
@pytest.mark.parametrize(("key", "facts"), [("other", FACTS), ("key", {"torch": "2"})])
def test_no_state_is_resumed_with_other_code_data_params_or_machine(digits, said, key, facts):
    keep_states(make(digits), 4, said.append)
    finish(make(digits), said.append, key, facts)
    assert said == []


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.usefixtures("workspace", "eager")
@pytest.mark.parametrize("damage", [tear, flip_a_bit, empty])
@pytest.mark.parametrize("generations", [1, 2])
def test_a_damaged_state_is_named_and_the_older_one_or_a_new_start_takes_over(digits, said, damage, generations):
    keep_states(make(digits), 4, said.append)
    for path in states()[-generations:]:
        damage(path)
    assert finish(make(digits), said.append) == result_of_whole(digits)
    notes = [line for line in said if line.startswith("note: ")]
    assert len(notes) == generations
    assert all("expected SHA-256" in note and note.endswith("; the file is removed") for note in notes)
    assert any(line.startswith("resuming") for line in said) == (generations == 1)


def result_of_whole(digits) -> tuple[object, ...]:
    whole = make(digits)
    list(whole.run())
    return result(whole)


@pytest.mark.usefixtures("workspace", "eager")
def test_without_a_place_for_states_training_goes_on_and_says_so_once(digits, said):
    paths.RESUME.parent.mkdir()
    paths.RESUME.write_text("a file where the folder should be")
    assert finish(make(digits), said.append) == result_of_whole(digits)
    (note,) = said
    assert note.startswith("note: ")
    assert "training goes on" in note


@pytest.fixture
def tiny_disk(workspace: Path) -> Iterator[Path]:
    folder = workspace / paths.RESUME
    folder.mkdir(parents=True)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder], capture_output=True, check=False)
    if mount.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here: that takes root")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.usefixtures("tiny_disk", "eager")
def test_on_a_full_disk_training_goes_on_and_says_so_once(digits, said):
    assert finish(make(digits), said.append) == result_of_whole(digits)
    (note,) = said
    assert "No space left on device" in note


class Malice:
    def __reduce__(self):
        return os.abort, ()


@pytest.mark.usefixtures("workspace", "eager")
@pytest.mark.parametrize("content", [pickle.dumps(Malice()), b"\xff" * 64, save({"x": torch.zeros(1)})[:-1]])
def test_a_state_that_is_no_safetensors_file_is_never_unpickled(digits, said, content):
    keep_states(make(digits), 4, said.append)
    for path in states():
        path.write_bytes(resume.hashlib.sha256(content).digest() + content)
    assert finish(make(digits), said.append) == result_of_whole(digits)
    assert sum("expected a safetensors file" in line for line in said) == 2


@pytest.mark.usefixtures("workspace", "eager")
def test_a_state_of_another_model_is_an_error_that_names_the_file(digits, said):
    keep_states(make(digits), 4, said.append)
    with pytest.raises(UserError, match=r"\.state: expected a state of this training, found .*size mismatch"):
        finish(make(digits, code_dimensions=5), said.append)


@pytest.mark.usefixtures("workspace")
def test_a_second_trainer_is_refused_while_the_first_lives():
    with resume.one_trainer():
        with pytest.raises(UserError, match=f"found process {os.getpid()} training"), resume.one_trainer():
            pass
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with resume.one_trainer():
        assert child.poll() is None  # a child that outlives its trainer holds no lock
    child.communicate(b"\n", timeout=60)


def test_the_lock_dies_with_its_process(workspace):
    code = (
        "from autoencoder.training import resume; resume.one_trainer().__enter__(); import os; os.kill(os.getpid(), 9)"
    )
    done = run(sys.executable, "-c", code, cwd=workspace, check=False)
    assert done.returncode == -signal.SIGKILL
    assert paths.TRAINER_LOCK.read_text()
    with resume.one_trainer():
        pass


@pytest.mark.slow
def test_signals_stop_training_with_its_state_kept(clone, tmp_path):
    """SIGINT as a terminal sends it, to dvc's whole process group; then signals to a trainer that dvc did not start.

    A training prints more than its pipe holds, so it never ends before its signal comes.
    """
    folder = tmp_path / "clone"
    run("git", "clone", "-q", str(clone), str(folder), cwd=tmp_path)
    (folder / "params.yaml").write_text(
        small((ROOT / "params.yaml").read_text()).replace("epochs: 2\n", "epochs: 1000\n")
    )
    run("dvc", "repro", "-q", "download", cwd=folder)

    with start("dvc", "repro", "-s", "train", cwd=folder) as dvc:
        read_to(dvc, "Test  Epoch: 3 ")
        os.killpg(dvc.pid, signal.SIGINT)
        assert "stopped after" in dvc.stdout.read()
        assert dvc.wait(60) != 0
    with start(sys.executable, "stages", "train", cwd=folder) as trainer:
        read_to(trainer, "resuming after")
        trainer.send_signal(signal.SIGINT)
        assert "stopped after" in trainer.stdout.read()
        assert trainer.wait(60) == 130
    with start(sys.executable, "stages", "train", cwd=folder) as trainer:
        read_to(trainer, "resuming after")
        trainer.send_signal(signal.SIGSTOP)  # it lives as long as the second one takes
        second = run(sys.executable, "stages", "train", cwd=folder, check=False)
        assert (second.returncode, second.stderr.count("\n")) == (1, 1)
        assert f"found process {trainer.pid} training" in second.stderr
        trainer.send_signal(signal.SIGTERM)
        trainer.send_signal(signal.SIGCONT)
        assert "stopped after" in trainer.stdout.read()
        assert trainer.wait(60) == 143
    done = run("dvc", "repro", "-s", "train", cwd=folder)
    assert "resuming after" in done.stderr
    interrupted = [(folder / name).read_bytes() for name in OUTPUTS]
    run(sys.executable, "stages", "train", cwd=folder)
    assert [(folder / name).read_bytes() for name in OUTPUTS] == interrupted
