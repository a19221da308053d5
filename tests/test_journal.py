"""A training's notes for MLflow: whole, locked while it lives, and never in its way."""

import json
import os
from pathlib import Path
from typing import IO

import pytest

from autoencoder import paths
from autoencoder.tracking import journal
from autoencoder.training.loop import Epoch, Step


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a training in a folder of its own says."""
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    paths.MODEL.write_bytes(b"model")
    return []


def train(said: list[str]) -> journal.Journal:
    """A training of one epoch that is long enough to be followed."""
    with journal.Journal("0" * 64, "1" * 64, {}, {}, said.append) as notes:
        notes.began -= journal.SECONDS
        notes.note([Step(0, 1, 0.9)], [Epoch(1, 0.5, 0.4)])
        notes.note([Step(0, 1, 0.9)], [Epoch(1, 0.5, 0.4)])
    return notes


@pytest.mark.parametrize("place", [".autoencoder", ".autoencoder/journal"])
def test_a_journal_that_cannot_be_written_is_said_once(said: list[str], place: str) -> None:
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).touch()
    train(said)
    (note,) = said
    assert note.endswith("training goes on, and `track` reports it to MLflow when it is over")


def test_a_disk_that_takes_half_a_line_is_full(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        """An unbuffered file on a disk with room for ten bytes."""

        def __init__(self, file: IO[bytes]) -> None:
            self.file = file

        def write(self, content: bytes) -> int:
            return self.file.write(content[:10])

        def close(self) -> None:
            self.file.close()

    monkeypatch.setattr(journal.Journal, "_follow", lambda _: None)
    with journal.Journal("0" * 64, "1" * 64, {}, {}, said.append) as notes, notes.path.open("rb") as file:
        assert notes.file
        notes.file = Full(notes.file)  # type: ignore[assignment]
        notes.note([], [Epoch(1, 0.5, 0.4)])
        notes.note([], [Epoch(1, 0.5, 0.4), Epoch(2, 0.4, 0.3)])
        assert journal.alive(file)  # nobody is to take it for killed
    (note,) = said
    assert "No space left on device" in note
    header, rest = notes.path.read_bytes().split(b"\n")
    assert json.loads(header).keys() == journal.HEADER
    assert len(rest) == 10


def test_without_a_follower_the_journal_is_whole_and_left_to_track(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(os, "posix_spawn", refuse)
    notes = train(said)
    (note,) = said
    assert "Resource temporarily unavailable" in note
    assert journal.left() == [notes.path]
    header, points, end = (json.loads(line) for line in notes.path.read_text().splitlines())
    assert header["key"] == "0" * 64
    assert [point["name"] for point in points["points"]] == ["train/mse", "test/mse", "train/step_mse"]
    assert end["status"] == "FINISHED"


def test_a_journal_is_alive_as_long_as_its_training(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal.Journal, "_follow", lambda _: None)
    with journal.Journal("0" * 64, "1" * 64, {}, {}, said.append) as notes, notes.path.open("rb") as file:
        assert journal.alive(file)
    with notes.path.open("rb") as file:
        assert not journal.alive(file)
    assert said == []
