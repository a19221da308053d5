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

    from autoencoder import checkpoints, pipeline, records, resume
    from autoencoder.journal import Journal
    from autoencoder.training import Training

    gc.enable()  # unlike the other stages, this one lasts: see `entry`

    images = checkpoints.load_images()
    description = checkpoints.describe(images["train_images"], **settings.model.model_dump())
    training = Training(
        description.build(settings.seed),
        images,
        **settings.train.model_dump(),
        seed=settings.seed,
        device=numerics.device(settings.runtime),
    )
    say = partial(tqdm.write, file=sys.stderr)
    key, facts = pipeline.current("train").key, numerics.facts(settings.runtime)
    as_written = pipeline.flatten(pipeline.load(paths.PARAMS, remedy=f"git checkout {paths.PARAMS}"))
    with (
        resume.one_trainer(),
        resume.Keeper(training, key, facts, say) as keeper,
        Journal(key, as_written, facts, say) as journal,
    ):
        keeper.restore()
        total = len(images["train_images"])
        with tqdm(total=total * training.epochs, unit="image", leave=False, disable=not sys.stderr.isatty()) as bar:
            for progress in training.run():
                bar.update((progress.epoch - 1) * total + progress.images_seen - bar.n)
                for step in progress.steps:
                    seen = step.step % len(training.losses) * training.batch_size
                    percent = 100 * seen / total
                    bar.write(f"Train Epoch: {step.epoch} [{seen}/{total} ({percent:.0f}%)]\tLoss: {step.mse:.6f}")
                if epoch := progress.finished:
                    bar.write(f"Test  Epoch: {epoch.epoch} mse {epoch.test_mse:.6f}")
                journal.note(training.steps, training.history)
                keeper.keep(epoch_finished=progress.finished is not None)
        checkpoints.save_model(training.model, description)
        records.write_csv(paths.TRAINING, training.history)
        records.write_csv(paths.STEPS, training.steps)
        keeper.discard()
