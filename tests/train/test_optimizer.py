import copy

import pytest
import torch

from glyphsight.models.nano import make_nano
from glyphsight.train.settings import resolve_settings
from glyphsight.train.trainer import Muon, Together, make_optimizer, orthogonalize, rate_factor


def all_weights(given):
    return resolve_settings("nano", {"embedding_rate": 1.0} | given).values


def test_embeddings_whose_rate_is_nothing_stay_as_they_were():
    model, _ = make_nano(0)
    optimizer = make_optimizer(model, all_weights({"embedding_rate": 0.0}))
    embedding = model.get_input_embeddings().weight
    assert not embedding.requires_grad
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert not any(p is embedding for p in held)


def test_orthogonalized_matrices_have_singular_values_near_one():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(3, 20, 50)))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_our_muon_steps_as_torchs_does_up_to_its_bfloat16():
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in ((8, 24), (24, 8), (16, 16))]
    theirs = copy.deepcopy(ours)
    start = [p.detach().clone() for p in ours]
    a = Muon(ours, lr=0.1, weight_decay=0.1)
    b = torch.optim.Muon(theirs, lr=0.1, weight_decay=0.1)
    for _ in range(3):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape)
            q.grad = p.grad.clone()
        a.step()
        b.step()
    for p, q, s in zip(ours, theirs, start, strict=True):
        moved = torch.nn.functional.cosine_similarity((p - s).flatten(), (q - s).flatten(), dim=0)
        assert moved > 0.999


def test_every_trained_weight_has_one_optimizer_and_embeddings_are_not_decayed():
    model, _ = make_nano(0)
    optimizer = make_optimizer(model, all_weights({"weight_decay": 0.5}))
    assert isinstance(optimizer, Together)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert sorted(map(id, held)) == sorted(id(p) for p in model.parameters())
    embedding = model.get_input_embeddings().weight
    [group] = [g for g in optimizer.param_groups if any(p is embedding for p in g["params"])]
    assert group["weight_decay"] == 0


def test_the_state_of_optimizers_stepped_together_comes_back():
    def moved(optimizer, model, steps):
        for step in range(steps):
            torch.manual_seed(step)
            for p in model.parameters():
                p.grad = torch.randn(p.shape)
            optimizer.step()

    settings = all_weights({})
    first, _ = make_nano(0)
    one = make_optimizer(first, settings)
    moved(one, first, 2)
    second, _ = make_nano(1)
    second.load_state_dict(first.state_dict())
    two = make_optimizer(second, settings)
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    moved(one, first, 2)
    moved(two, second, 2)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)


def test_the_rate_rises_then_falls_to_nothing():
    factors = [rate_factor(done / 100, 0.0, 0.1, "cosine") for done in range(101)]
    assert factors[0] == 0
    assert max(factors) == factors[10] == pytest.approx(1)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] == pytest.approx(0, abs=1e-12)


def test_a_slow_machine_ends_low_all_the_same():
    assert rate_factor(0.4, 0.99, 0.1, "linear") == pytest.approx(0.0111, abs=1e-3)
    assert rate_factor(0.4, 0.2, 0.1, "linear") == rate_factor(0.4, 0.0, 0.1, "linear")


def test_a_run_that_the_clock_will_end_warms_up_by_the_clock():
    assert rate_factor(0.001, 0.05, 0.1, "cosine") == pytest.approx(0.5)
    assert rate_factor(0.002, 0.1, 0.1, "cosine") == pytest.approx(1)


def test_a_warm_up_that_takes_all_the_time_still_ends_low():
    assert rate_factor(0.05, 0.99, 0.1, "cosine") < 0.01


def test_a_constant_rate_stays():
    assert rate_factor(0.9, 0.0, 0.1, "constant") == 1
