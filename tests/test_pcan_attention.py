"""PCAN's attention: its equations in float64, its gradients, and the original's outputs."""

from __future__ import annotations

from bdd100k_models.registry import enter_scope  # before mmdet, which finds its operators only after this

# isort: split

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bdd100k_models.models.pcan import PrototypeRefineHead
from bdd100k_models.models.pcan.prototypes import (
    FrameMemory,
    attend,
    find_prototypes,
    masked_mean,
    random_prototypes,
    reconstruct,
    remember_frame,
)


@pytest.fixture(autouse=True)
def scope() -> None:
    """Build losses and layers as mmdet's, whatever another test built before."""
    enter_scope("mmdet")


def softmax(row: np.ndarray) -> np.ndarray:
    powers = np.exp(row - row.max())
    return powers / powers.sum()


def em_by_hand(x: np.ndarray, mu: np.ndarray, rounds: int, mask: np.ndarray | None = None) -> np.ndarray:
    """Expectation maximisation of one instance: x (C, N), mu (C, K), mask (N,)."""
    mu = mu.copy()
    for _ in range(rounds):
        z = np.stack([softmax(20 * (x[:, n] @ mu)) for n in range(x.shape[1])])
        if mask is not None:
            z = np.stack([mask[n] * z[n] for n in range(len(z))])
        for k in range(mu.shape[1]):
            mean = (z[:, k] / (1e-6 + z[:, k].sum())) @ x.T
            mu[:, k] = mean / (1e-6 + np.sqrt((mean**2).sum()))
    return mu


def attention_by_hand(x: np.ndarray, mu: np.ndarray) -> np.ndarray:
    return np.stack([softmax(x[:, n] @ mu) for n in range(x.shape[1])])


def doubles(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(shape))


sizes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 9), st.integers(1, 5), st.integers(0, 4))
seeds = st.integers(0, 2**32 - 1)


@given(sizes=sizes, seed=seeds, masked=st.booleans())
@settings(max_examples=40)
def test_expectation_maximisation_follows_its_equations(sizes: tuple[int, ...], seed: int, masked: bool):
    count, channels, pixels, prototypes, rounds = sizes
    rng = np.random.default_rng(seed)
    x, mu = doubles(rng, count, channels, pixels), doubles(rng, count, channels, prototypes)
    mask = torch.from_numpy(rng.random((count, 1, pixels)) < 0.5) if masked else None
    found = find_prototypes(x, mu, rounds, mask)
    for i in range(count):
        weights = None if mask is None else mask[i, 0].numpy().astype(float)
        np.testing.assert_allclose(found[i], em_by_hand(x[i].numpy(), mu[i].numpy(), rounds, weights), atol=1e-9)


@given(sizes=sizes, seed=seeds)
@settings(max_examples=40)
def test_attention_and_reconstruction_follow_their_equations(sizes: tuple[int, ...], seed: int):
    count, channels, pixels, prototypes, _ = sizes
    rng = np.random.default_rng(seed)
    x, mu = doubles(rng, count, channels, pixels), doubles(rng, count, channels, prototypes)
    shares, rebuilt = attend(x, mu), reconstruct(x, mu)
    for i in range(count):
        expected = attention_by_hand(x[i].numpy(), mu[i].numpy())
        np.testing.assert_allclose(shares[i], expected, atol=1e-12)
        np.testing.assert_allclose(rebuilt[i], mu[i].numpy() @ expected.T, atol=1e-12)


@given(sizes=sizes, seed=seeds)
@settings(max_examples=20)
def test_a_memory_follows_its_equations_over_frames(sizes: tuple[int, ...], seed: int):
    _, channels, pixels, prototypes, rounds = sizes
    rng = np.random.default_rng(seed)
    frames = [doubles(rng, 1, channels, pixels, 2) for _ in range(3)]
    start = doubles(rng, 1, channels, prototypes)
    memory, bank, mu = FrameMemory(frames[0], start), frames[0][0].reshape(channels, -1).numpy(), start[0].numpy()
    for frame in frames:
        mixed, memory = remember_frame(frame, memory, rounds)
        x = frame[0].reshape(channels, -1).numpy()
        fitted = em_by_hand(bank, mu, rounds)
        expected = 0.75 * x + 0.25 * (fitted @ attention_by_hand(x, fitted).T)
        bank, mu = 0.75 * expected + 0.25 * bank, 0.5 * mu + 0.5 * fitted
        np.testing.assert_allclose(mixed[0].reshape(channels, -1), expected, atol=1e-9)
        np.testing.assert_allclose(memory.bank[0].reshape(channels, -1), bank, atol=1e-9)
        np.testing.assert_allclose(memory.prototypes[0], mu, atol=1e-9)


def resize_by_hand(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize (H, W) bilinearly, corners not aligned."""
    result = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) * image.shape[0] / height - 0.5, 0), image.shape[0] - 1)
            u = min(max((x + 0.5) * image.shape[1] / width - 0.5, 0), image.shape[1] - 1)
            top, left = int(v), int(u)
            bottom, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            upper = (1 - u + left) * image[top, left] + (u - left) * image[top, right]
            lower = (1 - u + left) * image[bottom, left] + (u - left) * image[bottom, right]
            result[y, x] = (1 - v + top) * upper + (v - top) * lower
    return result


def conv_by_hand(x: np.ndarray, weight: torch.Tensor, bias: torch.Tensor) -> np.ndarray:
    """Convolve (C, H, W) with odd kernels and zeros around."""
    kernel, reach = weight.numpy(), weight.shape[2] // 2
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)))
    result = np.zeros((len(kernel), *x.shape[1:]))
    for y in range(x.shape[1]):
        for u in range(x.shape[2]):
            patch = padded[:, y : y + 2 * reach + 1, u : u + 2 * reach + 1]
            result[:, y, u] = (kernel * patch).sum(axis=(1, 2, 3)) + bias.numpy()
    return result


def refine_by_hand(head: PrototypeRefineHead, a: np.ndarray, b: np.ndarray, logits_a: np.ndarray, logits_b: np.ndarray):
    """Refine one instance: features (C, H, W), logits (h, w). Returns logits (2H, 2W) and both fits (C, K)."""
    state = head.state_dict()
    height, width = a.shape[1:]
    l_a, l_b = resize_by_hand(logits_a, height, width), resize_by_hand(logits_b, height, width)
    m_a, m_b = (l_a >= 0).astype(float).ravel(), (l_b >= 0).astype(float).ravel()
    x_a, x_b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    gap = x_a @ m_a / (m_a.sum() + 1e-5)
    positive = em_by_hand(x_b, em_by_hand(x_a, head.pos_mu[0].numpy(), 6, m_a), 6, m_b)
    negative = em_by_hand(x_b, em_by_hand(x_a, head.neg_mu[0].numpy(), 6, 1 - m_a), 6, 1 - m_b)
    z = attention_by_hand(x_b, np.concatenate([positive, negative], axis=1))
    split = positive.shape[1]
    maps = [z[:, :split].sum(axis=1).reshape(1, height, width), z[:, split:].sum(axis=1).reshape(1, height, width)]
    y = conv_by_hand(np.concatenate([b, *maps, l_b[None]]), state["conv1.conv.weight"], state["conv1.conv.bias"])
    y += conv_by_hand(gap[:, None, None], state["conv2.conv.weight"], state["conv2.conv.bias"])
    for i in range(3):
        y = np.maximum(conv_by_hand(y, state[f"convs.{i}.conv.weight"], state[f"convs.{i}.conv.bias"]), 0)
    up = np.einsum("chw,cdij->dhiwj", y, state["upsample.weight"].numpy())
    up = up.reshape(up.shape[0], 2 * height, 2 * width) + state["upsample.bias"].numpy()[:, None, None]
    out = conv_by_hand(np.maximum(up, 0), state["conv_logits.weight"], state["conv_logits.bias"])
    return out[0], positive, negative


def small_head(seed: int = 0) -> PrototypeRefineHead:
    torch.manual_seed(seed)
    head = PrototypeRefineHead(in_channels=4, conv_out_channels=4, num_prototypes=3).double().eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return head


@pytest.mark.parametrize("seed", [0, 1])
def test_the_refinement_follows_its_equations(seed: int):
    head, rng = small_head(seed), np.random.default_rng(seed)
    a, b = doubles(rng, 2, 4, 5, 4), doubles(rng, 2, 4, 5, 4)
    logits_a, logits_b = doubles(rng, 2, 1, 10, 8), doubles(rng, 2, 1, 10, 8)
    with torch.no_grad():
        refined, moved = head(b, logits_b, a, logits_a)
    fits = []
    for i in range(2):
        expected, *fit = refine_by_hand(
            head, *(t[i].numpy() for t in (a, b)), logits_a[i, 0].numpy(), logits_b[i, 0].numpy()
        )
        np.testing.assert_allclose(refined[i, 0], expected, atol=1e-8)
        fits.append(fit)
    for kind, (old, new) in enumerate(zip(head.prototypes, moved, strict=True)):
        mean = (fits[0][kind] + fits[1][kind]) / 2
        np.testing.assert_allclose(new[0], 0.95 * old[0].numpy() + 0.05 * mean, atol=1e-9)


# ---------------------------------------------------------------------------------------------------------- gradients


def test_gradients_of_attention_and_reconstruction():
    rng = np.random.default_rng(0)
    x, mu = doubles(rng, 2, 3, 4).requires_grad_(), doubles(rng, 2, 3, 5).requires_grad_()
    assert torch.autograd.gradcheck(attend, (x, mu))
    assert torch.autograd.gradcheck(reconstruct, (x, mu))
    mask = torch.from_numpy(rng.random((2, 1, 4)) < 0.5)
    assert torch.autograd.gradcheck(lambda values: masked_mean(values, mask), (x,))


def test_no_gradient_flows_through_expectation_maximisation():
    rng = np.random.default_rng(0)
    x, mu = doubles(rng, 1, 3, 4).requires_grad_(), doubles(rng, 1, 3, 2).requires_grad_()
    assert not find_prototypes(x, mu, 2).requires_grad


def test_gradients_of_the_refinement(monkeypatch: pytest.MonkeyPatch):
    """With the fits held still, as training sees them, the gradients are those of finite differences."""
    from bdd100k_models.models.pcan import refine_head

    head, rng = small_head(), np.random.default_rng(0)
    fixed = doubles(rng, 2, 4, 3)
    monkeypatch.setattr(refine_head, "find_prototypes", lambda *_: fixed)
    b = doubles(rng, 2, 4, 3, 3).requires_grad_()
    a, logits = doubles(rng, 2, 4, 3, 3), doubles(rng, 2, 1, 6, 6)
    weight = head.conv1.conv.weight
    assert torch.autograd.gradcheck(lambda x: head(x, logits, a, logits)[0], (b,))
    assert torch.autograd.gradcheck(
        lambda w: _with_weight(head, w, b.detach(), logits, a), (weight.detach().requires_grad_(),)
    )


def _with_weight(
    head: PrototypeRefineHead, weight: torch.Tensor, b: torch.Tensor, logits: torch.Tensor, a: torch.Tensor
):
    return torch.func.functional_call(head, {"conv1.conv.weight": weight}, (b, logits, a, logits))[0]


# --------------------------------------------------------------------------------------------------------- edge cases


def test_half_precision_is_raised():
    x, mu = torch.full((1, 4, 6), 300.0, dtype=torch.float16), random_prototypes(4, 3)
    fitted = find_prototypes(x, mu, 2)
    assert fitted.dtype == torch.float32 and fitted.isfinite().all()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert attend(x.bfloat16(), mu).dtype == torch.float32
        mixed, memory = remember_frame(x.bfloat16().view(1, 4, 2, 3), FrameMemory(x.bfloat16().view(1, 4, 2, 3), mu), 2)
    assert mixed.dtype == torch.bfloat16 and memory.prototypes.dtype == torch.float32


def test_huge_features_stay_finite():
    x = 1e15 * torch.randn(1, 4, 6)
    assert find_prototypes(x, random_prototypes(4, 3), 3).isfinite().all()
    assert reconstruct(x, random_prototypes(4, 3)).isfinite().all()


def test_an_empty_mask_gives_zero_prototypes_and_a_zero_mean():
    x, nothing = torch.randn(2, 4, 6), torch.zeros(2, 1, 6, dtype=torch.bool)
    assert not find_prototypes(x, random_prototypes(4, 3).expand(2, -1, -1), 2, nothing).any()
    assert not masked_mean(x, nothing).any()


@pytest.mark.parametrize("sign", [-1, 1])
def test_masks_that_cover_nothing_or_everything_can_be_refined(sign: int):
    head = small_head()
    features, logits = torch.randn(1, 4, 5, 4).double(), torch.full((1, 1, 10, 8), 9.0 * sign).double()
    refined, moved = head(features, logits, features, logits)
    assert refined.isfinite().all() and all(kind.isfinite().all() for kind in moved)


def test_refining_nothing_moves_nothing():
    head = small_head()
    features, logits = torch.zeros(0, 4, 5, 4).double(), torch.zeros(0, 1, 10, 8).double()
    refined, moved = head(features, logits, features, logits)
    assert refined.shape == (0, 1, 10, 8)
    assert all(torch.equal(old, new) for old, new in zip(head.prototypes, moved, strict=True))


def test_random_prototypes_have_length_one():
    assert torch.allclose(random_prototypes(8, 5).norm(dim=1), torch.ones(1, 5), atol=1e-5)


# ------------------------------------------------------------------------------------------------------- golden cases


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


def test_frames_attend_to_the_past_as_in_the_original(shared: Path):
    golden = np.load(shared / "specs" / "golden" / "pcan_frame_em.npz")
    mu = np.random.RandomState(5).standard_normal((1, 256, 30))
    start = torch.from_numpy((mu / (1e-6 + np.linalg.norm(mu, axis=1, keepdims=True))).astype(np.float32))
    frames = [draw(seed, 1, 256, 12, 20) for seed in (10, 11, 12)]
    memory = FrameMemory(frames[0], start)
    for index, frame in enumerate(frames):
        mixed, memory = remember_frame(frame, memory, 3)
        np.testing.assert_allclose(mixed, golden[f"x{index}"], atol=2e-6)
    np.testing.assert_allclose(memory.bank, golden["memo"], atol=2e-6)
    np.testing.assert_allclose(memory.prototypes, golden["mus"], atol=2e-6)


def test_masks_are_refined_as_in_the_original(shared: Path):
    golden = np.load(shared / "specs" / "golden" / "pcan_refine_head.npz")
    head = PrototypeRefineHead().eval()
    state = head.state_dict()
    for index, key in enumerate(sorted(state)):
        shape = tuple(state[key].shape)
        value = np.random.RandomState(1000 + index).standard_normal(shape)
        if key.endswith("_mu"):
            value /= 1e-6 + np.linalg.norm(value, axis=1, keepdims=True)
        else:
            value = value / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1 * value
        state[key].copy_(torch.from_numpy(value))
    a, b = draw(1, 3, 256, 14, 14).abs(), draw(2, 3, 256, 14, 14).abs()
    logits_a, logits_b = draw(3, 3, 1, 28, 28), draw(4, 3, 1, 28, 28)
    with torch.no_grad():
        first, moved = head(b, logits_b, a, logits_a)
        second, again = head(b, logits_b, a, logits_a, moved)
    np.testing.assert_allclose(first, golden["out1"], atol=3e-6)
    np.testing.assert_allclose(second, golden["out2"], atol=3e-6)
    np.testing.assert_allclose(moved.positive, golden["pos_mu_after1"], atol=3e-6)
    np.testing.assert_allclose(again.positive, golden["pos_mu_after2"], atol=3e-6)
    np.testing.assert_allclose(again.negative, golden["neg_mu_after2"], atol=3e-6)
