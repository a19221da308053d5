"""The key of a trained state, a hash of its params and its data, and the name of its run.

`tracking.mirror` finds the run that belongs to a key.
"""

import hashlib
import json
from typing import Any

from autoencoder import article

# The sections of params.yaml that make a trained state. The others can change without training again.
SECTIONS = ("seed", "data", "model", "corruption", "constraint", "train", "runtime")

SHORT = {"model.code_dimensions": "code", "train.learning_rate": "lr", "train.batch_size": "batch"}


def defining(params: dict[str, Any]) -> dict[str, Any]:
    """Those of the flat `params` that make a trained state."""
    return {name: value for name, value in params.items() if name.partition(".")[0] in SECTIONS}


def differences(params: dict[str, Any]) -> dict[str, Any]:
    """Those of the flat defining `params` that are not the article's, the article's order first.

    A param that is absent is the article's: a state of an earlier version, which lacks a later param, stays the same
    state. Where the article has a float, any number is one: 0 is 0.0.
    """
    typed = {
        name: float(value) if isinstance(article.PARAMS.get(name), float) else value for name, value in params.items()
    }
    order = [*article.PARAMS, *sorted(typed.keys() - article.PARAMS)]
    return {name: typed[name] for name in order if name in typed and typed[name] != article.PARAMS.get(name)}


def key(params: dict[str, Any], data_md5: str) -> str:
    """SHA-256, in hexadecimal, that names the state of the flat `params` trained on the images with this MD5."""
    content = {"params": differences(defining(params)), "data": data_md5}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def run_name(params: dict[str, Any]) -> str:
    """What a state does differently from the article, such as `code=16 lr=0.01`; short, as MLflow's columns are."""
    changed = differences(defining(params))
    short = {name: SHORT.get(name, name.removesuffix(".name").rpartition(".")[2]) for name in changed}
    return " ".join(f"{short[name]}={value}" for name, value in changed.items()) or "article"
