"""Record the operators of one training step and run them again, without autograd, modules and allocation.

A step of a small model spends half of its time on those. Before replays are used, one of them is compared in every bit
with the step as it is written; a step that cannot be replayed goes on as it is written.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from autoencoder.kernels import products

Step = Callable[..., Float[Tensor, "..."]]  # returns what is measured before the step
Call = Callable[[], object]
aten = torch.ops.aten
CHOSEN_BY_DATA = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
SIMPLE = {torch.Tag.pointwise, torch.Tag.reduction}


class Replayed:
    """`step`, a function of tensors that changes `model` and returns a loss; to be called as `step` is.

    For inputs of one shape the first call runs `step` as it is written, in which optimizers make their buffers, the
    second is recorded, and the third is replayed, undone, and run as it is written. If both leave the same bits, later
    calls are replayed, else none is. A replay repeats what the recorded call did: a number of Python that `step` uses,
    such as a learning rate, must not change later, and `step` must do its work with torch's operators.
    """

    def __init__(self, step: Step, model: nn.Module) -> None:
        self.step, self.model, self.modules = step, model, list(model.modules())
        self.recordings: dict[Any, Recording] = {}

    def __call__(self, *inputs: Tensor) -> Float[Tensor, "..."]:
        """Take a step; the loss is that of before the step."""
        key = (*(x.shape for x in inputs), *(module.training for module in self.modules))
        if key not in self.recordings:
            self.recordings[key] = Recording(self.step, [*self.model.parameters(), *self.model.buffers()])
            return self.step(*inputs)
        return self.recordings[key](*inputs)


class Recording(TorchDispatchMode):
    """The calls that repeat one step for inputs of one shape. `refused` names the reason for which there are none."""

    def __init__(self, step: Step, state: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.step = step
        self.state = {id(tensor): tensor for tensor in state}  # and whatever else the step writes to
        self.refused = ""
        self.run: Step = self._record

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True would load torch._dynamo, which takes as long as loading torch

    def __call__(self, *inputs: Tensor) -> Float[Tensor, "..."]:
        return self.run(*inputs)

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run `operator`, and note what repeats it."""
        options = kwargs or {}
        result = operator(*args, **options)
        arguments = tree_leaves((args, options))
        if CHOSEN_BY_DATA & {*operator.tags} or any(isinstance(argument, torch.Generator) for argument in arguments):
            self.refused = self.refused or str(operator)
        if operator._schema.is_mutable:
            self.state |= {id(x): x for x in arguments if isinstance(x, Tensor) and memory(x) not in self.made}
        elif not operator.is_view:
            self.made |= {memory(x): x for x in tree_leaves(result) if isinstance(x, Tensor)}
        self.calls += repeated(operator, args, options, result)
        return result

    def _record(self, *inputs: Tensor) -> Float[Tensor, "..."]:
        self.inputs = [x.clone() for x in inputs]
        self.made: dict[int, Tensor] = {}  # by memory: what operators of the step have made
        self.calls: list[Call] = []
        with self:
            self.loss = self.step(*self.inputs)
        self.run = self.step if self.refused else self._prove
        return self.loss.clone()

    def _prove(self, *inputs: Tensor) -> Float[Tensor, "..."]:
        before, seed = [x.detach().clone() for x in self.state.values()], torch.get_rng_state()
        replayed = [bits(self._replay(*inputs)), *map(bits, self.state.values())]
        torch.set_rng_state(seed)
        for x, old in zip(self.state.values(), before, strict=True):
            x.detach().copy_(old)
        loss = self.step(*inputs)
        if replayed == [bits(loss), *map(bits, self.state.values())]:
            self.run = self._replay
        else:
            self.refused, self.run = "a replay and the step as it is written differ", self.step
        return loss

    @np.errstate(all="ignore")
    @torch.inference_mode()
    def _replay(self, *inputs: Tensor) -> Float[Tensor, "..."]:
        for mine, x in zip(self.inputs, inputs, strict=True):
            mine.copy_(x)
        for call in self.calls:
            call()
        return self.loss.clone()


def memory(tensor: Tensor) -> int:
    """A number that tensors on the same memory have in common while they live."""
    number: int = tensor.untyped_storage()._cdata
    return number


def bits(tensor: Tensor) -> bytes:
    """All bits of a tensor on the CPU."""
    return products.array(tensor).tobytes()


def repeated(operator: Any, args: Any, options: Any, result: Any) -> list[Call]:
    """The calls that compute `result`, which `operator` has made from these arguments, once more in the same memory."""
    if operator.is_view or operator.name().startswith(("aten::empty", "aten::new_empty", "profiler::")):
        return []
    if operator._schema.is_mutable and all(made.alias_info for made in operator._schema.returns):
        return [partial(operator, *args, **options)]
    plain = operator in (aten.mm.default, aten.addmm.default) and not options
    if plain and products.can_multiply(args[-2], args[-1], (2, 2)):
        multiply = partial(np.matmul, *map(products.array, args[-2:]), out=products.array(result))
        return [multiply, *(partial(aten.add_.Tensor, result.detach(), c) for c in args[:-2])]
    if (into := with_out(operator)) and isinstance(result, Tensor):
        return [partial(into, *args, **options, **{into._schema.arguments[-1].name: result})]
    results = [result] if isinstance(result, Tensor) else result

    def again() -> None:
        new = operator(*args, **options)
        for old, fresh in zip(results, [new] if isinstance(new, Tensor) else new, strict=True):
            if isinstance(old, Tensor):
                old.copy_(fresh)

    return [again]


def with_out(operator: Any) -> Any:
    """The form of `operator` that writes to memory it is given, if there is one for the CPU, else None."""

    def inputs(form: Any) -> list[tuple[str, str]]:
        return [(x.name, str(x.type)) for x in form._schema.arguments if not x.is_out]

    for name in operator.overloadpacket.overloads():
        if not SIMPLE & {*operator.tags} and name != "grad_input":
            continue
        form = getattr(operator.overloadpacket, name)
        if sum(x.is_out for x in form._schema.arguments) == 1 and inputs(form) == inputs(operator):
            return form if torch._C._dispatch_has_kernel_for_dispatch_key(form.name(), "CPU") else None
    return None
