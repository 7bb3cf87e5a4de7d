"""Croissant metadata with RAI fields; what is right is what MLCommons' own library says."""

import json
import logging
import warnings

import pytest

import evenset.data
from evenset import audit, cli
from evenset.audit.card_words import read_audit
from evenset.audit.croissant import CONTEXT, RAI, croissant, rai_fields
from evenset.data.errors import InputError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    mlc = pytest.importorskip("mlcroissant")

# What the library's own dependency says of itself.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is deprecated:DeprecationWarning:rdflib", "ignore:ConjunctiveGraph is deprecated"
)


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("absl").setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("croissant")
    named = ("gay", "christian", "tall")
    lines = [f'"A {named[k % 3]} person, post {k}",{int(k // 3 % 5 < (3, 1, 1)[k % 3])}' for k in range(600)]
    (folder / "posts.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    audit.run(evenset.data.open(folder / "posts.csv"), axes=["identity"], measures=["counts", "association"]).save(
        folder / "audit"
    )
    return folder


def validated(path):
    """What MLCommons' library reads; it raises for metadata with errors."""
    return mlc.Dataset(jsonld=str(path)).metadata


def written(place, target, *more):
    assert cli.invoke(["card", str(place / "audit"), "--croissant", str(target), "--quiet", *more]) == 0
    return json.loads(target.read_text())


def test_new_metadata_are_valid_croissant(place, tmp_path):
    content = written(place, tmp_path / "c.json", "--name", "posts")
    found = validated(tmp_path / "c.json")
    assert found.name in ("posts", {"en": "posts"})
    assert str(found.ctx.conforms_to.value) == "http://mlcommons.org/croissant/1.1"
    assert f"{RAI}1.0" in content["conformsTo"]
    audited = read_audit(place / "audit")
    assert found.data_biases == rai_fields(audited)["dataBiases"]
    assert found.data_limitations == rai_fields(audited)["dataLimitations"]
    assert found.data_social_impact == rai_fields(audited)["dataSocialImpact"][0]
    assert any('mention "gay" are labelled "1"' in said for said in found.data_biases)
    assert found.annotations_per_item is None
    assert found.distribution[0].sha256 == audited["dataset"]["sha256"]
    assert found.personal_sensitive_information == [
        f"[evenset {evenset.__version__}] Texts name social groups: 400 of 600 rows have words of identity."
    ]


def test_metadata_with_errors_are_seen_to_be_wrong(place, tmp_path):
    """The validation of these tests can fail."""
    content = written(place, tmp_path / "c.json")
    content["recordSet"] = [{"@type": "cr:RecordSet", "@id": "r", "field": [{"@type": "cr:Field", "@id": "r/x"}]}]
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(mlc.ValidationError):
        validated(tmp_path / "c.json")


OLD = {
    "@context": {**CONTEXT, "responsible": RAI},
    "@type": "sc:Dataset",
    "name": "Mine",
    "description": "Words of mine.",
    "license": "https://creativecommons.org/licenses/by/4.0/",
    "conformsTo": "http://mlcommons.org/croissant/1.0",
    "rai:annotationsPerItem": "3",
    "rai:dataBiases": "Only one city.",
    "rai:dataSocialImpact": "Be careful.",
    "distribution": [{"@type": "cr:FileObject", "@id": "f", "contentUrl": "f.csv", "encodingFormat": "text/csv",
                      "sha256": "0" * 64}],
    "recordSet": [{"@type": "cr:RecordSet", "@id": "r", "field": [
        {"@type": "cr:Field", "@id": "r/x", "dataType": "sc:Text", "source": {
            "fileObject": {"@id": "f"}, "extract": {"column": "x"}}}]}],
}  # fmt: skip
OLD["@context"].pop("responsible")


def test_what_people_wrote_stays_and_writing_twice_is_writing_once(place, tmp_path):
    target = tmp_path / "c.json"
    target.write_text(json.dumps(OLD))
    first = written(place, target)
    found = validated(target)
    assert str(found.ctx.conforms_to.value) == "http://mlcommons.org/croissant/1.0"
    assert first["conformsTo"] == ["http://mlcommons.org/croissant/1.0", f"{RAI}1.0"]
    assert found.annotations_per_item == "3"
    assert found.data_biases[0] == "Only one city."
    assert found.data_social_impact.startswith("Be careful.\n\n[evenset ")
    assert found.record_sets[0].fields[0].id == "r/x"
    assert {key: first[key] for key in ("name", "description", "license", "recordSet", "@context")} == {
        key: OLD[key] for key in ("name", "description", "license", "recordSet", "@context")
    }
    assert written(place, target) == first


def test_entries_of_an_earlier_version_are_replaced(place):
    audited = read_audit(place / "audit")
    old = croissant(audited)
    aged = json.loads(json.dumps(old).replace(f"[evenset {evenset.__version__}]", "[evenset 0.0.1]"))
    assert croissant(audited, existing=aged) == old


@pytest.mark.parametrize("key", [f"{RAI}dataBiases", "r:dataBiases"])
def test_fields_under_another_name_are_found(place, key):
    context = {**{k: v for k, v in CONTEXT.items() if v != RAI}, "r": RAI}
    made = croissant(read_audit(place / "audit"), existing={**OLD, "@context": context, key: ["Mine."]})
    assert made[key][0] == "Mine."
    assert len(made[key]) > 1
    assert "rai" not in made["@context"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as Croissant metadata"),
        ("[]", "holds no JSON object"),
        ('{"@context": "https://schema.org"}', 'have no "@context" object'),
        (json.dumps({**OLD, "conformsTo": "http://mlcommons.org/croissant/0.8"}), "bring them up to date first"),
    ],
)
def test_what_is_no_croissant_stays_as_it_is(content, message, place, tmp_path, capsys):
    target = tmp_path / "c.json"
    target.write_text(content)
    assert cli.invoke(["card", str(place / "audit"), "--croissant", str(target)]) == 2
    assert message in capsys.readouterr().err
    assert target.read_text() == content


def test_a_name_without_metadata_is_refused(place, capsys):
    assert cli.invoke(["card", str(place / "audit"), "--name", "x"]) == 2
    assert "--name goes with --croissant FILE" in capsys.readouterr().err


def test_odd_names_are_valid_too(tmp_path):
    rows = [{"text": f"Post {k}.", "g\u202e\x07<b>": f"{k % 2}", "label": int(k % 4 < 2 + k % 2)} for k in range(200)]
    data = evenset.data.open(rows, text="text", label="label")
    made = croissant(audit.run(data, axes=["column:g\u202e\x07<b>"], measures=["counts", "association"]).to_dict())
    (tmp_path / "c.json").write_text(json.dumps(made))
    assert validated(tmp_path / "c.json").data_biases
    assert "\u202e" not in json.dumps(made, ensure_ascii=False)


def test_other_sections_raise_plainly():
    with pytest.raises(InputError, match="there is no"):
        read_audit("nowhere")
