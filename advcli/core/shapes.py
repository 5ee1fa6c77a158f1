"""The shapes of tensors, as types: N rows, three channels, H x W pixels, K classes.

For a type checker each name is a tensor. Where jaxtyping is installed (the test extra) each name also carries its
shape, and the test run checks every call against it; a user's installation has no jaxtyping and pays nothing.
"""

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    Pixels = Tensor
    Logits = Tensor
    Maps = Tensor
    Floats = Tensor
    Radii = Tensor
    Integers = Tensor
    Flags = Tensor
else:
    try:
        from jaxtyping import Bool, Float, Int
    except ImportError:
        Pixels = Logits = Maps = Floats = Radii = Integers = Flags = Tensor
    else:
        Pixels = Float[Tensor, "N 3 H W"]
        Logits = Float[Tensor, "N K"]
        Maps = Float[Tensor, "N H W"]
        Floats = Float[Tensor, " N"]
        Radii = Float[Tensor, "N *C"]
        Integers = Int[Tensor, " N"]
        Flags = Bool[Tensor, " N"]
