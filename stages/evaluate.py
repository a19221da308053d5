"""models/autoencoder.safetensors → metrics/evaluation.json, metrics/test_errors.csv, metrics/principal_angles.csv."""

import click


@click.command()
def evaluate() -> None:
    """Measure the model on both splits and against the PCA optimum."""
    from autoencoder import numerics, params, paths

    settings = params.load()
    numerics.configure(settings.runtime)

    from autoencoder.analysis.evaluation import compare_subspaces, errors, quantiles
    from autoencoder.analysis.results import load_results
    from autoencoder.files import write_csv, write_json
    from autoencoder.models.linear import LinearAutoencoder

    results = load_results()
    results.model.to(numerics.device(settings.runtime))
    figures = errors(results, settings.evaluate.batch_size)
    write_csv(paths.TEST_ERRORS, quantiles(results, settings.evaluate.batch_size))
    test = figures["test"]
    click.echo(
        f"test mse {test['mse']:.4f}, {test['ratio_to_optimum']:.3f} times the optimum {test['optimum_mse']:.4f}"
    )
    if isinstance(results.model, LinearAutoencoder):
        figures["pca"], angles = compare_subspaces(results.model, results.optimum)
        write_csv(paths.ANGLES, angles)
        pca = figures["pca"]
        click.echo(f"{pca['directions_captured']:.1f} of {pca['code_dimensions']} principal directions captured")
    write_json(paths.EVALUATION, figures)
