"""models/*.safetensors, metrics/*.csv and test images → figures/*.png."""

from pathlib import Path

import click

from autoencoder import numerics, params

FIGURES = Path("figures")


@click.command()
def render() -> None:
    """Draw what the model does to images, what its weights are, and how it learned."""
    settings = params.load()
    numerics.configure(settings.runtime)

    import torch

    from autoencoder import checkpoints, figures, files, models, published, records

    model, description = checkpoints.load_model()
    encoder, decoder = (part.linear.weight.detach() for part in (model.encoder, model.decoder))
    k = description.code_dimensions
    optimum = checkpoints.load_optimum()
    tensors = checkpoints.load_images()
    chosen = figures.choose(tensors["test_labels"], settings.render.examples)
    images, labels = tensors["test_images"][chosen], tensors["test_labels"][chosen]
    with torch.no_grad():
        codes = model.encode(models.scale(images))
        rebuilt = model.decode(codes)
    history = records.read_csv(records.TRAINING)
    angles = records.read_csv(records.ANGLES)
    applies = settings.data.name == published.DATASET and k == published.CODE_DIMENSIONS
    with figures.style():
        drawn = {
            "reconstructions": figures.reconstructions(images, rebuilt, labels, k),
            "code": figures.code(images[0], codes[0], rebuilt[0]),
            "encoder_weights": figures.weights(
                encoder, description.image_shape, "What the units of the encoder look for"
            ),
            "decoder_weights": figures.weights(
                decoder.T, description.image_shape, "What the units of the decoder draw"
            ),
            "weight_products": figures.weight_products(encoder, decoder, optimum.axes[:, :k]),
            "training_curve": figures.training_curve(
                [row["train_mse"] for row in history],
                [row["test_mse"] for row in history],
                optimum.test_mse[k].item(),
                published.TEST_LOSSES if applies else (),
            ),
            "principal_angles": figures.principal_angles(
                [row["degrees"] for row in angles], sum(row["cosine_squared"] for row in angles)
            ),
        }
        for name, figure in drawn.items():
            files.write_atomically(FIGURES / f"{name}.png", figures.png(figure))
    click.echo(f"{len(drawn)} figures in {FIGURES}/")
