"""How well codes, or raw pixels, tell the classes of images: by a linear classifier and by nearest neighbours."""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor

from autoencoder.data.images import Images, scale

TRAIN_LIMIT, TEST_LIMIT = 60_000, 10_000  # images among which and for which neighbours are looked for
FEW = 10  # neighbours are found one by one; more by top-k, which for one takes eight times as long
BLOCK = 200  # test images whose distances to all training images are in memory at a time

Progress = Callable[[list[tuple[Tensor, Tensor]]], Iterable[tuple[Tensor, Tensor]]]


def pixel_class_errors(images: Images, progress: Progress) -> dict[str, float]:
    """The share of test images that raw pixels classify wrongly, with one neighbour; none without classes.

    At most TRAIN_LIMIT training and TEST_LIMIT test images take part: no more are in memory.
    """
    if images.train_labels is None or images.test_labels is None:
        return {}
    train, train_labels = thin(images.train, TRAIN_LIMIT), thin(images.train_labels, TRAIN_LIMIT)
    test, test_labels = thin(images.test, TEST_LIMIT), thin(images.test_labels, TEST_LIMIT)
    arguments = (scale(train), train_labels, scale(test), test_labels)
    return {
        "pixel_probe_error": probe_error(*arguments),
        "pixel_neighbour_error": neighbour_error(*arguments, progress=progress),
    }


def thin(rows: Tensor, limit: int) -> Tensor:
    """At most `limit` rows, evenly spread."""
    if len(rows) <= limit:
        return rows
    return rows[torch.arange(limit) * len(rows) // limit]


def probe_error(
    train: Float[Tensor, "n code"],
    train_labels: UInt8[Tensor, " n"],
    test: Float[Tensor, "m code"],
    test_labels: UInt8[Tensor, " m"],
) -> float:
    """The share of test images that a linear classifier of their codes gets wrong.

    The classifier is the affine least-squares fit, in float64, of one indicator for each class to the training codes;
    the largest wins.
    """
    classes = train_labels.unique()
    moment = torch.zeros(train.shape[1] + 1, train.shape[1] + 1, dtype=torch.float64)
    cross = torch.zeros(train.shape[1] + 1, len(classes), dtype=torch.float64)
    for codes, labels in zip(train.split(1_000), train_labels.split(1_000), strict=True):
        z = _with_one(codes)
        moment.addmm_(z.T, z)
        cross.addmm_(z.T, (labels.unsqueeze(1) == classes).double())
    weights = torch.linalg.pinv(moment, hermitian=True, rtol=1e-10) @ cross
    guesses = classes[(_with_one(test) @ weights).argmax(1)]
    return int((guesses != test_labels).sum()) / len(test)


def _with_one(codes: Float[Tensor, "n code"]) -> Float64[Tensor, "n code_and_one"]:
    return torch.cat([codes.double(), torch.ones(len(codes), 1, dtype=torch.float64)], 1)


def neighbour_error(
    train: Float[Tensor, "n code"],
    train_labels: UInt8[Tensor, " n"],
    test: Float[Tensor, "m code"],
    test_labels: UInt8[Tensor, " m"],
    *,
    neighbours: int = 1,
    progress: Progress = iter,
) -> float:
    """The share of test images that their nearest training images get wrong: the class that most of them have.

    Distances are Euclidean; of images that are equally near (up to FEW neighbours), and of classes with equally many
    neighbours, the first one wins. At most TRAIN_LIMIT training and TEST_LIMIT test images take part, in blocks, over
    which `progress` (such as tqdm) iterates.
    """
    train, train_labels = thin(train, TRAIN_LIMIT), thin(train_labels, TRAIN_LIMIT)
    test, test_labels = thin(test, TEST_LIMIT), thin(test_labels, TEST_LIMIT)
    classes = train_labels.unique()
    is_of_class = train_labels.unsqueeze(1) == classes
    centre = train.mean(0)  # small numbers have small rounding errors
    train = train - centre
    columns, half_norms, wrong = train.T.contiguous(), 0.5 * train.square().sum(1), 0
    for codes, labels in progress(list(zip((test - centre).split(BLOCK), test_labels.split(BLOCK), strict=True))):
        nearness = torch.mm(codes, columns).sub_(half_norms)  # half the code's norm less half the squared distance
        votes = is_of_class[_nearest(nearness, min(neighbours, len(train)))].sum(1)
        guesses = classes[votes.argmax(1)]
        wrong += int((guesses != labels).sum())
    return wrong / len(test)


def _nearest(nearness: Float[Tensor, "m n"], neighbours: int) -> Int64[Tensor, "m neighbours"]:
    """The largest of every row, which is written over; of few, by numpy's argmax."""
    if neighbours > FEW:
        return nearness.topk(neighbours).indices
    rows, numbers = torch.arange(len(nearness)), nearness.numpy()
    found = []
    for _ in range(neighbours):
        found.append(torch.from_numpy(numbers.argmax(1)))
        nearness[rows, found[-1]] = -torch.inf
    return torch.stack(found, 1)
