"""data/images.safetensors → models/autoencoder.safetensors, metrics/training.csv, metrics/steps.csv."""

import sys

import click

from autoencoder import numerics, params


@click.command()
def train() -> None:
    """Train the model of params.yaml and print its losses as the article does."""
    settings = params.load()
    for note in numerics.configure(settings.runtime):
        click.echo(f"note: {note}", err=True)

    from tqdm import tqdm

    from autoencoder import checkpoints, records
    from autoencoder.training import Training

    images = checkpoints.load_images()
    description = checkpoints.describe(settings.model, images["train_images"])
    training = Training(
        description.build(settings.seed),
        images,
        **settings.train.model_dump(),
        seed=settings.seed,
        device=numerics.device(settings.runtime),
    )
    total = len(images["train_images"])
    with tqdm(total=total * settings.train.epochs, unit="image", leave=False, disable=not sys.stderr.isatty()) as bar:
        for progress in training.run():
            bar.n = (progress.epoch - 1) * total + progress.images_seen
            bar.refresh()
            for step in progress.steps:
                seen = step.step % len(training.losses) * settings.train.batch_size
                percent = 100 * seen / total
                bar.write(f"Train Epoch: {step.epoch} [{seen}/{total} ({percent:.0f}%)]\tLoss: {step.mse:.6f}")
            if epoch := progress.finished:
                bar.write(f"Test  Epoch: {epoch.epoch} mse {epoch.test_mse:.6f}")
    checkpoints.save_model(training.model, description)
    records.write_csv(records.TRAINING, training.history)
    records.write_csv(records.STEPS, training.steps)
