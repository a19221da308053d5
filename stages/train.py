"""data/images.safetensors → models/autoencoder.safetensors, metrics/training.csv, metrics/steps.csv."""

import gc
import sys
from functools import partial

import click


@click.command()
def train() -> None:
    """Train the model of params.yaml and print its losses as the article does."""
    from autoencoder import numerics, params, paths

    settings = params.load()
    for note in numerics.configure(settings.runtime):
        click.echo(f"note: {note}", err=True)

    from tqdm import tqdm

    from autoencoder.data.images import load_images
    from autoencoder.files import read_yaml, write_csv
    from autoencoder.models.saved import describe, save_model
    from autoencoder.record import identity, lock
    from autoencoder.tracking.journal import Journal
    from autoencoder.training.loop import Training
    from autoencoder.training.objective import objective
    from autoencoder.training.resume import Keeper, one_trainer

    gc.enable()  # unlike the other stages, this one lasts

    images = load_images()
    model, corruption, constraint = (
        section.model_dump() for section in (settings.model, settings.corruption, settings.constraint)
    )
    description = describe(images, model, corruption, constraint, settings.train.loss)
    network, device = description.build(settings.seed), numerics.device(settings.runtime)
    training = Training(network, images, settings.train, objective(description), seed=settings.seed, device=device)
    say = partial(tqdm.write, file=sys.stderr)
    current, facts = lock.current("train"), numerics.facts(settings.runtime)
    as_written = lock.flatten(read_yaml(paths.PARAMS, remedy=f"git checkout {paths.PARAMS}"))
    key = identity.key(as_written, current.deps[str(paths.IMAGES)])
    with (
        one_trainer(),
        Keeper(training, current.beginning, facts, say) as keeper,
        Journal(key, current.code, as_written, facts, say) as journal,
    ):
        keeper.restore()
        total = len(images.train)
        every = total * settings.train.epochs
        with tqdm(total=every, unit="image", leave=False, disable=not sys.stderr.isatty()) as bar:
            for progress in training.run():
                bar.update((progress.epoch - 1) * total + progress.images_seen - bar.n)
                for step in progress.steps:
                    seen = step.step % len(training.losses) * settings.train.batch_size
                    percent = 100 * seen / total
                    bar.write(f"Train Epoch: {step.epoch} [{seen}/{total} ({percent:.0f}%)]\tLoss: {step.mse:.6f}")
                if epoch := progress.finished:
                    held_out = epoch.validation_mse
                    validation = "" if held_out is None else f", validation mse {held_out:.6f}"
                    bar.write(f"Test  Epoch: {epoch.epoch} mse {epoch.test_mse:.6f}{validation}")
                journal.note(training.steps, training.history)
                keeper.keep(epoch_finished=progress.finished is not None)
        save_model(training.model, description)
        write_csv(paths.TRAINING, training.history)
        write_csv(paths.STEPS, training.steps)
        keeper.discard()
