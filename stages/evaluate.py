"""models/autoencoder.safetensors → metrics/evaluation.json, metrics/test_errors.csv, metrics/family/."""

import click


@click.command()
def evaluate() -> None:
    """Measure the model on all splits, against the PCA optimum, and by what was asked of it."""
    from autoencoder import numerics, params, paths

    settings = params.load()
    numerics.configure(settings.runtime)

    from autoencoder.analysis.evaluation import class_errors, compare_subspaces, errors, errors_by_image, quantiles
    from autoencoder.analysis.family import judged
    from autoencoder.analysis.results import load_results
    from autoencoder.entry import bar
    from autoencoder.files import keep_only, read_json, write_csv, write_json
    from autoencoder.models.linear import LinearAutoencoder

    results = load_results()
    device = numerics.device(settings.runtime)
    results.model.to(device)
    by_image = errors_by_image(results, settings.evaluate.batch_size)
    figures = errors(results, by_image)
    write_csv(paths.TEST_ERRORS, quantiles(by_image["test"], results.description.input_dimensions))
    test = figures["test"]
    test |= class_errors(results, settings.evaluate.neighbours, bar("neighbours of codes"))
    test |= read_json(paths.PIXELS)
    results.model.to("cpu")
    of_family, tables = judged(results, test["mse"])
    test |= of_family
    ratio = f", {test['ratio_to_optimum']:.3f} times the optimum" if "ratio_to_optimum" in test else ""
    if results.rank > (ranks := len(results.optimum.test_mse) - 1):
        click.echo(
            f"note: the optimum is left out: it is known up to rank {ranks}, the code has {results.rank} numbers"
        )
    click.echo(f"test mse {test['mse']:.4f}{ratio}, as good as {test['equivalent_rank']:.1f} principal components")
    if isinstance(results.model, LinearAutoencoder):
        pca, tables["principal_angles"] = compare_subspaces(results.model, results.optimum)
        figures["pca"] = pca
        directions = len(tables["principal_angles"])
        click.echo(f"{pca['directions_captured']:.1f} of {directions} principal directions captured")
    for name, rows in tables.items():
        write_csv(paths.FAMILY / f"{name}.csv", rows)
    keep_only(paths.FAMILY, {f"{name}.csv" for name in tables})
    write_json(paths.EVALUATION, figures)
