"""Many steps as one CUDA graph, for a GPU that would wait for the CPU to start each kernel of a small batch."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Steps = Callable[[Float[Tensor, "n input"]], Float[Tensor, " batches"]]


class Replayed:
    """What `steps` does to a chunk of scaled images, captured once and replayed: the same kernels, the same bits.

    The first chunk is learned step by step, which warms up what must not happen in a capture. The next one is captured,
    and all of its size are replayed. `steps` must do all its work on the device, and never wait for it.
    """

    def __init__(self, steps: Steps, capture: Callable[[Callable[[], None]], Callable[[], None]] | None = None) -> None:
        self.steps, self.capture = steps, capture or cuda_graph
        self.warm = False
        self.chunk = torch.empty(0)

    def __call__(self, x: Float[Tensor, "n input"]) -> Float[Tensor, " batches"]:
        if self.warm and not len(self.chunk):
            self.chunk = x.clone()
            self.replay = self.capture(self._learn)
        self.warm = True
        if x.shape != self.chunk.shape:  # the first, and the rest of an epoch
            return self.steps(x)
        self.chunk.copy_(x)
        self.replay()
        return self.losses.clone()

    def _learn(self) -> None:
        self.losses = self.steps(self.chunk)


def cuda_graph(work: Callable[[], None]) -> Callable[[], None]:
    """Capture `work`, without doing it; the result does it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    replay: Callable[[], None] = graph.replay
    return replay
