"""models/autoencoder.safetensors → metrics/evaluation.json, metrics/principal_angles.csv."""

import click


@click.command()
def evaluate() -> None:
    """Measure the model on both splits and against the PCA optimum."""
    from autoencoder import numerics, params, paths

    settings = params.load()
    numerics.configure(settings.runtime)

    from autoencoder import checkpoints, evaluation, records

    images, model, _, optimum = checkpoints.load()
    model.to(numerics.device(settings.runtime))
    figures, angles = evaluation.evaluate(model, images, optimum, settings.evaluate.batch_size)
    records.write_json(paths.EVALUATION, figures)
    records.write_csv(paths.ANGLES, angles)
    test, pca = figures["test"], figures["pca"]
    click.echo(
        f"test mse {test['mse']:.4f}, {test['ratio_to_optimum']:.3f} times the optimum {test['optimum_mse']:.4f}; "
        f"{pca['directions_captured']:.1f} of {pca['code_dimensions']} principal directions captured"
    )
