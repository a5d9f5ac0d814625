"""Gradient clipping by the global norm."""

from collections.abc import Iterable

from torch import Tensor, nn

__all__ = ["clip_gradient"]


def clip_gradient(parameters: Iterable[Tensor], largest: float) -> Tensor:
    """Shorten the gradient of all parameters together to a norm of at most `largest`.

    Returns the norm that it had.

    `torch.nn.utils.clip_grad_norm_` multiplies a short one by one, so as not to wait for a GPU. On
    a CPU nobody waits, and a gradient of 76 MB need not be read and written once more.
    """
    learned = [parameter for parameter in parameters if parameter.grad is not None]
    gradients = [parameter.grad for parameter in learned if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if norm.device.type != "cpu" or not norm <= largest:  # what is no number is told to all
        nn.utils.clip_grads_with_norm_(learned, largest, norm)
    return norm
