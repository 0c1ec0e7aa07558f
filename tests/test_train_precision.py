"""Mixed precision in training."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import OPTIM_WRAPPERS

from bdd100k_models.engine.precision import set_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def chosen(device: torch.device, amp: bool, **wrapper: object) -> dict[str, object]:
    config = Config({"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}, **wrapper}})
    set_precision(config, device, amp=amp)
    found = config.optim_wrapper.to_dict()
    found.pop("optimizer")
    return dict(found)


@pytest.mark.parametrize(
    ("device", "amp", "given", "expected"),
    [
        (CPU, False, {"type": "OptimWrapper"}, {"type": "OptimWrapper"}),
        (CPU, True, {"type": "OptimWrapper"}, {"type": "CpuAmpOptimWrapper"}),
        (CPU, False, {"type": "AmpOptimWrapper", "loss_scale": 512.0}, {"type": "OptimWrapper"}),
        (CPU, True, {"type": "AmpOptimWrapper", "loss_scale": 512.0}, {"type": "CpuAmpOptimWrapper"}),
        (CPU, False, {"type": "CpuAmpOptimWrapper"}, {"type": "CpuAmpOptimWrapper"}),  # as an earlier run left it
        (CPU, False, {"type": "Other", "own": 1}, {"type": "Other", "own": 1}),
        (GPU, False, {"type": "OptimWrapper"}, {"type": "OptimWrapper"}),
        (GPU, True, {"type": "OptimWrapper"}, {"type": "AmpOptimWrapper", "loss_scale": "dynamic"}),
        (GPU, True, {}, {"type": "AmpOptimWrapper", "loss_scale": "dynamic"}),
        (GPU, False, {}, {"type": "OptimWrapper"}),
        (GPU, False, {"type": "AmpOptimWrapper", "loss_scale": 8.0}, {"type": "AmpOptimWrapper", "loss_scale": 8.0}),
        (GPU, False, {"type": "CpuAmpOptimWrapper"}, {"type": "AmpOptimWrapper", "loss_scale": "dynamic"}),
    ],
)
def test_the_wrapper_follows_from_device_and_flag(
    device: torch.device, amp: bool, given: dict[str, object], expected: dict[str, object]
) -> None:
    assert chosen(device, amp, **given) == expected


def test_on_the_cpu_sums_are_short_and_weights_are_not() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 32)
    exact = layer.weight.detach().clone()
    inputs, targets = torch.randn(16, 64), torch.randn(16, 32)
    wrapper = OPTIM_WRAPPERS.build(
        {"type": "CpuAmpOptimWrapper", "optimizer": torch.optim.SGD(layer.parameters(), lr=1e-4)}
    )
    with wrapper.optim_context(layer):
        outputs = layer(inputs)
        loss = torch.nn.functional.mse_loss(outputs.float(), targets)
    assert outputs.dtype == torch.bfloat16
    wrapper.update_params(loss)
    assert layer.weight.dtype == torch.float32
    gradient = torch.autograd.grad(
        torch.nn.functional.mse_loss(torch.nn.functional.linear(inputs, exact.requires_grad_(), layer.bias), targets),
        exact,
    )[0]
    step = (exact - layer.weight).detach() / 1e-4
    # steps that bfloat16 could not hold are made, and lead where float32 leads
    assert (layer.weight != exact).float().mean() > 0.9
    assert torch.nn.functional.cosine_similarity(step.flatten(), gradient.flatten(), dim=0) > 0.99
