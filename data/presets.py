"""Well-known data sets in the forms in which people have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PROFESSIONS = (
    *("accountant", "architect", "attorney", "chiropractor", "comedian", "composer", "dentist", "dietitian", "dj"),
    *("filmmaker", "interior_designer", "journalist", "model", "nurse", "painter", "paralegal", "pastor"),
    *("personal_trainer", "photographer", "physician", "poet", "professor", "psychologist", "rapper"),
    *("software_engineer", "surgeon", "teacher", "yoga_teacher"),
)
IDENTITIES = (
    *("male", "female", "transgender", "other_gender", "heterosexual", "homosexual_gay_or_lesbian", "bisexual"),
    *("other_sexual_orientation", "christian", "jewish", "muslim", "hindu", "buddhist", "atheist", "other_religion"),
    *("black", "white", "asian", "latino", "other_race_or_ethnicity", "physical_disability"),
    *("intellectual_or_learning_disability", "psychiatric_or_mental_illness", "other_disability"),
)


@dataclass(frozen=True, slots=True)
class Preset:
    """Names of the columns of a well-known data set.

    Attributes
    ----------
    text, label : tuple of str
        Names in use, the usual one first.
    needs : tuple of str
        Columns that must be there besides.
    label_names : tuple of str, optional
        Names of the label's indices.
    value_names : tuple of (column, names)
        Names of other columns' indices.
    """

    name: str
    text: tuple[str, ...]
    label: tuple[str, ...]
    needs: tuple[str, ...] = ()
    label_names: tuple[str, ...] | None = None
    value_names: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def text_in(self, names: Sequence[str]) -> str | None:
        """The text column among these."""
        return next((name for name in self.text if name in names), None)

    def label_in(self, names: Sequence[str]) -> str | None:
        """The label column among these."""
        return next((name for name in self.label if name in names), None)

    def fits(self, names: Sequence[str]) -> bool:
        """Whether a file with these columns is of this data set."""
        return (
            self.text_in(names) is not None
            and self.label_in(names) is not None
            and all(name in names for name in self.needs)
        )

    def axes(self, names: Sequence[str]) -> tuple[str, ...]:
        """Axes of the groups that the file itself tells."""
        named = tuple(f"column:{column}" for column, _ in self.value_names if column in names)
        return named or tuple(f"column:{name}>=0.5" for name in IDENTITIES if name in names)


# The first that fits is recognised. `text` of the hub's civil_comments is too common a name to recognise it by.
PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "bias-in-bios",
            text=("hard_text",),
            label=("profession",),
            needs=("gender",),
            label_names=PROFESSIONS,
            value_names=(("gender", ("male", "female")),),
        ),
        Preset("jigsaw", text=("comment_text",), label=("toxic", "target", "toxicity")),
        Preset("civil-comments", text=("comment_text", "text"), label=("toxicity", "target", "toxic")),
    )
}


def recognise(names: Sequence[str]) -> Preset | None:
    """The data set that a file with these columns is of.

    Examples
    --------
    >>> recognise(["comment_text", "target", "black"]).name
    'civil-comments'
    >>> recognise(["text", "label"]) is None
    True
    """
    if PRESETS["bias-in-bios"].fits(names):
        return PRESETS["bias-in-bios"]
    if "comment_text" not in names:
        return None
    if "toxic" in names:
        return PRESETS["jigsaw"]
    return PRESETS["civil-comments"] if PRESETS["civil-comments"].fits(names) else None
