"""Weights, read without running code that a file may hold, and only into a network they fit."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from speechkit.base.arrays import BROKEN_ZIP
from speechkit.base.errors import UserError, one_line
from speechkit.base.files import atomic_write
from speechkit.base.schema import regular_file
from speechkit.workdir.unfinished import note_finished, of_network

if TYPE_CHECKING:
    import torch

Network = TypeVar("Network", bound="torch.nn.Module")
# The unpickler follows what a damaged file says, into any of Python's plain errors.
_BROKEN = (*BROKEN_ZIP, OSError, TypeError, AttributeError, AssertionError, RecursionError)
_REMEDY = "Copy it again, or train again."


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file.

    Raises:
        UserError: it is missing, cut short or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(regular_file(path))
    # LookupError and others: types of numbers that PyTorch does not have.
    except (OSError, SafetensorError, LookupError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"{path} cannot be read: {one_line(error, 200)}.", _REMEDY) from error


def write_weights(
    path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, str] | None = None
) -> None:
    """Write tensors to a safetensors file.

    Args:
        path: the file.
        tensors: by name, from any device; no two of the same memory.
        about: what else its header says.
    """
    from safetensors.torch import save

    kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    path.write_bytes(save(kept, dict(about) if about else None))


def read_checkpoint(path: Path, remedy: str = _REMEDY) -> Any:
    """What ``torch.save`` wrote: tensors and plain values only.

    Raises:
        UserError: it is missing, cut short or damaged.
        pickle.UnpicklingError: it holds other objects, which are not made.
    """
    import torch

    try:
        return torch.load(regular_file(path), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise
    except _BROKEN as error:
        raise UserError(f"{path} cannot be read ({one_line(error, 200)}).", remedy) from error


def write_checkpoint(path: Path, state: Any, how_far: str) -> None:
    """Write what :func:`read_checkpoint` reads, whole or not at all, and note how far it is."""
    import torch

    packed = io.BytesIO()  # torch.save would hide that a disk is full
    torch.save(state, packed)
    with atomic_write(path, "wb") as file:
        file.write(packed.getbuffer())
    note_finished(path, of_network(path, how_far))


def read_state(path: Path, remedy: str) -> dict[str, torch.Tensor]:
    """As :func:`read_checkpoint`, of one that must hold tensors by name.

    Raises:
        UserError: it is missing, damaged, or holds something else.
    """
    import torch

    try:
        found = read_checkpoint(path, remedy)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} holds other things than weights.", remedy) from error
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise UserError(f"{path} does not hold weights by name.", remedy)
    return found


def build(
    make: Callable[[], Network], weights: Mapping[str, torch.Tensor], source: Path | str
) -> Network:
    """A network with weights, made only if it has their names, shapes and kinds of numbers.

    A card that describes another network, however large, takes no memory: the shapes are
    compared on PyTorch's "meta" device.

    Args:
        make: builds the network, on PyTorch's default device.
        weights: its tensors.
        source: their file, for the message.

    Raises:
        UserError: they do not fit.
    """
    require_fit(make, weights, source)
    network = make()
    network.load_state_dict(dict(weights))
    return network


def require_fit(
    make: Callable[[], torch.nn.Module], weights: Mapping[str, torch.Tensor], source: Path | str
) -> None:
    """The check of :func:`build` alone."""
    import torch

    try:
        with torch.device("meta"):
            wanted = make().state_dict()
    except UserError as error:  # of settings that make no network
        raise UserError(f"{source} cannot be used: {error.problem}", error.remedy) from error
    except (RuntimeError, ValueError, TypeError, OverflowError, ZeroDivisionError) as error:
        raise UserError(
            f"{source} cannot be used: no such network ({one_line(error, 200)})."
        ) from error
    _compare(wanted, weights, source)


def put(network: torch.nn.Module, weights: Mapping[str, torch.Tensor], source: Path | str) -> None:
    """Give a network weights, checked in the same way.

    Raises:
        UserError: they do not fit.
    """
    _compare(network.state_dict(), weights, source)
    network.load_state_dict(dict(weights))


def _compare(
    wanted: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor], source: Path | str
) -> None:
    for name in sorted(wanted.keys() | weights.keys()):
        if name.endswith("num_batches_tracked"):  # PyTorch fills it in
            continue
        if name not in weights or name not in wanted:
            what = "is missing" if name in wanted else "is one too many"
            raise UserError(f"{source} does not fit the network: '{name}' {what}.", _REMEDY)
        have, want = weights[name], wanted[name]
        same = have.dtype.is_floating_point == want.dtype.is_floating_point
        if have.shape != want.shape or not same or have.dtype.is_complex:
            raise UserError(
                f"{source} does not fit the network: '{name}' has the shape {tuple(have.shape)} "
                f"of {have.dtype}, expected {tuple(want.shape)} of {want.dtype}.",
                _REMEDY,
            )


def stack(
    weights: Sequence[Mapping[str, torch.Tensor]], source: Path | str
) -> dict[str, torch.Tensor]:
    """Weights of S models of one shape in one: float32 with a leading dimension of S.

    Raises:
        UserError: they are not of one shape.
    """
    import torch

    shapes = [{name: value.shape for name, value in one.items()} for one in weights]
    if any(other != shapes[0] for other in shapes[1:]):
        raise UserError(f"{source}: its seeds have weights of different shapes.", _REMEDY)
    wide = [single(one) for one in weights]
    return {name: torch.stack([one[name] for one in wide]) for name in wide[0]}


def single(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Floating-point tensors as float32; others as they are."""
    return {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
