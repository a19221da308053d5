"""models/*.safetensors, metrics/*.csv and test images → figures/*.png."""

import click


@click.command()
def render() -> None:
    """Draw what the model does to images, what its weights are, and how it learned."""
    from autoencoder import numerics, params, paths

    settings = params.load()
    numerics.configure(settings.runtime)

    import torch

    from autoencoder import checkpoints, figures, files, models, published, records

    tensors, model, description, optimum = checkpoints.load()
    encoder, decoder = (part.linear.weight.detach() for part in (model.encoder, model.decoder))
    k = description.code_dimensions
    chosen = figures.choose(tensors["test_labels"], settings.render.examples)
    images, labels = tensors["test_images"][chosen], tensors["test_labels"][chosen]
    with torch.no_grad():
        codes = model.encode(models.scale(images))
        rebuilt = model.decode(codes)
    history, angles = records.read_csv(paths.TRAINING), records.read_csv(paths.ANGLES)
    captured = sum(row["cosine_squared"] for row in angles)
    article = settings.data.name == published.DATASET and k == published.CODE_DIMENSIONS
    printed = published.TEST_LOSSES if article else ()
    shape = description.image_shape
    with figures.style():
        drawn = {
            "code": figures.code(images[:1], codes[:1], rebuilt[:1]),
            "decoder_weights": figures.weights(decoder.T, shape, "Decoder weights: what each unit draws"),
            "encoder_weights": figures.weights(encoder, shape, "Encoder weights: what each unit looks for"),
            "principal_angles": figures.principal_angles(angles),
            "reconstructions": figures.reconstructions(images, rebuilt, labels, k),
            "training_curve": figures.training_curve(history, optimum.test_mse[k].item(), printed),
            "weight_products": figures.weight_products(encoder, decoder, optimum.axes[:, :k], captured),
        }
        for name, figure in drawn.items():
            files.write_atomically(paths.FIGURES / f"{name}.png", figures.png(figure))
    click.echo(f"{len(drawn)} figures in {paths.FIGURES}/")
