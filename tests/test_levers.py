"""Levers of the upstream: what noise, permutation and projection do to weights, and that both trainers take them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_encoder import TEST, corpus, folder, make_rows, make_split, one_thread  # noqa: F401 - fixtures
from test_stacked import still  # noqa: F401 - fixture

from evenset.data.config import FinetuneConfig, UpstreamConfig, parse
from evenset.data.errors import InputError
from evenset.finetune.arms import expand
from evenset.finetune.checkpoint import Checkpoint, number_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PAIRS = "w0-w1,w2-w3,w4-w5,good-bad"
LEVERS = {
    "noise": UpstreamConfig(kind="noise", scale=0.5),
    "normal": UpstreamConfig(kind="noise", distribution="normal", scale=2.0),
    "permute": UpstreamConfig(kind="permute"),
    "project": UpstreamConfig(kind="project", axis=PAIRS, components=2),
    "half": UpstreamConfig(kind="project", axis=PAIRS, components=2, alpha=0.5),
    "still": UpstreamConfig(kind="project", axis=PAIRS, alpha=0),
    "nullspace": UpstreamConfig(kind="inlp"),
}
WORDS = "bert.embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def checkpoint(folder):  # noqa: F811
    return Checkpoint.load(folder, 2, upstreams=LEVERS)


@pytest.fixture(scope="module")
def released(checkpoint):
    return checkpoint.weights(seed=0, upstream="pretrained")


def differing(one, other):
    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name], other[name])}


# -- what every lever does ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["noise", "normal", "permute", "project"])
def test_the_head_is_the_same_in_all_arms_of_a_seed_and_the_released_weights_stay(checkpoint, released, name):
    before = {key: value.clone() for key, value in checkpoint.model.state_dict().items()}
    found = checkpoint.weights(seed=0, upstream=name)
    assert differing(found, released)
    assert not differing(found, released) & set(checkpoint.head)
    assert not differing(before, checkpoint.model.state_dict())
    assert not differing(found, checkpoint.weights(seed=0, upstream=name))
    other = differing(found, checkpoint.weights(seed=1, upstream=name)) - set(checkpoint.head)
    assert bool(other) == (name != "project")


def test_levers_leave_the_callers_random_numbers_alone(checkpoint):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    for name in ("noise", "permute", "project"):
        checkpoint.weights(seed=0, upstream=name)
    assert (torch.rand(3) == expected).all()


# -- noise -------------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(kind=st.sampled_from(["uniform", "normal"]), scale=st.floats(0.01, 50), seed=st.integers(0, 1 << 40))
def test_noise_stays_in_the_range_of_the_matrix(checkpoint, released, kind, scale, seed):
    from evenset.finetune.upstream.levers import changed

    spec = UpstreamConfig(kind="noise", distribution=kind, scale=scale)
    found = changed(checkpoint.model, spec, name="n", seed=seed)
    table = released[WORDS]
    assert set(found) == {WORDS}
    assert found[WORDS].min() >= table.min()
    assert found[WORDS].max() <= table.max()
    assert not torch.equal(found[WORDS], table)


@pytest.mark.parametrize(("kind", "sd"), [("uniform", 3**-0.5), ("normal", 1.0)])
def test_noise_has_the_deviation_that_was_asked_for(checkpoint, released, kind, sd):
    from evenset.finetune.upstream.levers import changed

    table = released[WORDS]
    found = changed(checkpoint.model, UpstreamConfig(kind="noise", distribution=kind, scale=0.1), name="n", seed=3)[
        WORDS
    ]
    inside = (found > table.min()) & (found < table.max())
    noise = ((found - table)[inside] / (0.1 * table.double().std())).double()
    assert float(noise.std()) == pytest.approx(sd, rel=4 / (2 * len(noise)) ** 0.5)
    assert abs(float(noise.mean())) < 4 * sd / len(noise) ** 0.5
    if kind == "uniform":
        assert float(noise.abs().max()) <= 1 + 1e-4


# -- permutation -------------------------------------------------------------------------------------------------------


def test_permuting_keeps_the_entries_of_every_matrix_and_moves_them(checkpoint, released):
    found = checkpoint.weights(seed=0, upstream="permute")
    moved = differing(found, released)
    body = {name for name, value in checkpoint.model.bert.named_parameters(prefix="bert") if value.ndim > 1}
    assert moved == body - set(checkpoint.head)
    for name in moved:
        assert torch.equal(found[name].flatten().sort().values, released[name].flatten().sort().values)
        assert (found[name] == released[name]).float().mean() < 0.1


# -- projection --------------------------------------------------------------------------------------------------------


def by_hand(checkpoint, table, k):
    """Principal components of centred pairs with scikit-learn; words of the tiny tokenizer are single tokens."""
    from sklearn.decomposition import PCA

    vocabulary = checkpoint.tokenizer().get_vocab()
    rows = []
    for pair in PAIRS.split(","):
        one, other = (table[vocabulary[word]].double().numpy() for word in pair.split("-"))
        rows += [one - (one + other) / 2, other - (one + other) / 2]
    return PCA(k).fit(np.stack(rows)).components_


def test_projection_takes_out_the_principal_directions_of_the_pairs(checkpoint, released):
    table = released[WORDS]
    axes = by_hand(checkpoint, table, 2)
    found = checkpoint.weights(seed=0, upstream="project")
    assert differing(found, released) == {WORDS}
    expected = table.double().numpy() - table.double().numpy() @ axes.T @ axes
    assert np.allclose(found[WORDS].numpy(), expected, atol=1e-6)
    assert np.abs(found[WORDS].double().numpy() @ axes.T).max() < 1e-6
    half = checkpoint.weights(seed=0, upstream="half")[WORDS]
    assert torch.allclose(half, (table + found[WORDS]) / 2, atol=1e-6)
    assert not differing(checkpoint.weights(seed=0, upstream="still"), released)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), k=st.integers(1, 4))
def test_a_full_projection_taken_twice_is_taken_once(seed, k):
    from evenset.finetune.upstream.levers import changed, directions

    class Fake(torch.nn.Module):
        def __init__(self, table):
            super().__init__()
            self.words = torch.nn.Embedding.from_pretrained(table, freeze=False)
            self.head = torch.nn.Linear(table.shape[1], table.shape[0], bias=False)
            self.head.weight = self.words.weight  # tied

        @property
        def base_model(self):
            return self

        def get_input_embeddings(self):
            return self.words

    names = {word: at for at, word in enumerate(word for pair in PAIRS.split(",") for word in pair.split("-"))}

    def tokenizer(text, add_special_tokens):
        return {"input_ids": [names[text.strip()]]}

    table = torch.randn(20, 6, generator=torch.Generator().manual_seed(seed))
    spec = UpstreamConfig(kind="project", axis=PAIRS, components=k)
    model = Fake(table)
    once = changed(model, spec, name="p", seed=0, tokenizer=tokenizer)
    assert set(once) == {"words.weight", "head.weight"}
    assert torch.equal(once["words.weight"], once["head.weight"])
    rows = directions(model, tokenizer, spec, name="p").rows
    assert torch.allclose(rows @ rows.T, torch.eye(k), atol=1e-5)
    again = once["words.weight"] - (once["words.weight"] @ rows.T) @ rows
    assert torch.allclose(again, once["words.weight"], atol=1e-5)
    assert torch.linalg.matrix_rank(once["words.weight"].double(), tol=1e-4) == 6 - k


def test_gender_means_the_ten_definitional_pairs(checkpoint):
    from evenset.finetune.upstream.levers import pairs_of

    assert pairs_of("gender", "p").pairs == pairs_of("pronouns", "p").pairs
    assert len(pairs_of("gender", "p").pairs) == 10
    spec = UpstreamConfig(kind="project")
    with pytest.raises(InputError, match="knows 0 of the 10 definitional pairs"):
        Checkpoint(checkpoint.folder, 2, checkpoint.model, checkpoint.head, {"p": spec}).weights(seed=0, upstream="p")
    with pytest.raises(InputError, match=r"upstream\.p\.axis"):
        pairs_of("no such lexicon", "p")


def test_the_same_model_with_a_language_head_is_changed_alike(folder, released):  # noqa: F811
    from evenset.finetune.upstream.levers import apply

    model = transformers.AutoModelForMaskedLM.from_pretrained(folder)
    for name in ("noise", "permute", "project"):
        with torch.random.fork_rng():
            fresh = transformers.AutoModelForMaskedLM.from_pretrained(folder)
        loaded = Checkpoint.load(folder, 2, upstreams=LEVERS)
        apply(fresh, LEVERS[name], name=name, seed=7, tokenizer=loaded.tokenizer())
        own = loaded.weights(seed=7, upstream=name)
        state = fresh.state_dict()
        for key in own:
            if key in state and key not in loaded.head:
                assert torch.equal(own[key], state[key]), key
        assert torch.equal(state["cls.predictions.decoder.weight"], state[WORDS])
    assert torch.equal(model.state_dict()[WORDS], released[WORDS])


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_is_said(checkpoint):
    from evenset.finetune.upstream.levers import changed

    with pytest.raises(InputError, match='no upstream "nose"'):
        checkpoint.weights(seed=0, upstream="nose")
    with pytest.raises(InputError, match=r"finetune\.frozen = true"):
        checkpoint.weights(seed=0, upstream="nullspace")

    class Without(torch.nn.Module):
        base_model = property(lambda self: self)

        def get_input_embeddings(self):
            raise NotImplementedError

    with pytest.raises(InputError, match="no matrix of token embeddings"):
        changed(Without(), LEVERS["noise"], name="n", seed=0)


def config(model, upstream, kind="noise", **finetune):
    return parse(
        {
            "plan": {"mask": {"step": [{"do": "scrub", "axis": "pronouns"}]}},
            "upstream": {"lever": {"kind": kind}, "unused": {"kind": "inlp"}},
            "arm": [{"plan": "mask", "upstream": upstream}],
            "finetune": {"model": model, "seeds": 1, **finetune},
        }
    )


def test_upstreams_of_arms_that_the_model_cannot_have_are_refused():
    assert {job.upstream for job in expand(config("some/model", "lever"))} == {"lever"}
    with pytest.raises(InputError, match='model = "linear" has none'):
        expand(config("linear", "lever"))
    with pytest.raises(InputError, match=r"finetune\.frozen = true"):
        expand(config("some/model", "lever", "inlp"))
    assert expand(config("some/model", "lever", "inlp", frozen=True))
    with pytest.raises(InputError, match="needs an encoder"):
        expand(config("linear", "pretrained", frozen=True))
    with pytest.raises(InputError, match="nothing to stack"):
        expand(config("some/model", "pretrained", frozen=True, stacked=2))


# -- trainers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["noise", "permute", "project"])
def test_both_trainers_take_a_lever_and_agree(still, name):  # noqa: F811
    from evenset.finetune.encoder import EncoderTrainer
    from evenset.finetune.stacked import StackedTrainer

    chosen = FinetuneConfig(model=str(still), epochs=1, batch=16, lr=1e-3, random_epochs=3, max_tokens=32, device="cpu")
    rows = make_rows(*corpus(100))
    one, other = (
        kind(chosen, [make_split(*TEST)], labels=["a", "b"], raw_rows=100, upstreams=LEVERS).train(
            rows, seed=number_of(0, name) % 100, upstream=name
        )
        for kind in (EncoderTrainer, StackedTrainer)
    )
    assert np.allclose(one.probabilities["test"], other.probabilities["test"], atol=1e-4)
    assert one.record["upstream"] == other.record["upstream"]
    assert one.record["upstream"]["kind"] == name
    assert one.record["steps"] == 7  # epochs and rate of the pretrained arm
    if name == "project":
        assert one.record["upstream"]["pairs"] == 4
        assert 0.5 < one.record["upstream"]["explained"] < 1
