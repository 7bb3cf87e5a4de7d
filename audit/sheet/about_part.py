"""How the audit was made, what was left out of it, and what no audit can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...data.showing import clipped
from ..page.document import Section
from ..page.html import Html, join, tag

if TYPE_CHECKING:
    from ..report import AuditReport


def about_section(report: AuditReport) -> Section:
    """How it was made, what was left out, and what it cannot tell."""
    about = report.dataset
    columns = {name: value for name, value in about.get("columns", {}).items() if value is not None}
    facts: list[tuple[str, str]] = [
        ("Files", ", ".join(clipped(path) for path in list(about.get("paths", ()))[:20]) or "data in memory"),
        ("SHA-256", str(about.get("sha256") or "not computed")),
        ("Columns", ", ".join(f"{name} = {clipped(value)}" for name, value in columns.items())),
        (
            "Word lists",
            ", ".join(f"{one['name']} {one['version']} ({one['sha256'][:12]})" for one in report.lexicons) or "none",
        ),
        ("Rules", "; ".join(_rule(rule.model_dump(exclude_none=True)) for rule in report.rules)),
        ("Intervals", f"{100 * report.settings.level:g} %"),
        ("Seed", str(report.seed)),
    ]
    reference = report.settings.reference
    if reference:
        said = (
            f"{axis}: " + ", ".join(f"{group} {value:g}" for group, value in shares_.items())
            for axis, shares_ in reference.items()
        )
        facts.append(("Reference", "; ".join(said)))
    body: list[Html] = [
        tag("dl", *(part for name, value in facts for part in (tag("dt", name), tag("dd", value))), class_="facts")
    ]
    left = report.parts.left_out
    body.append(tag("h3", "What was left out, and why"))
    wanted = {
        "proxies": report.parts.proxies,
        "directions": report.parts.directions,
        "leakage": report.parts.leakage,
        "quality": report.parts.quality,
    }
    not_asked = [name for name, part in wanted.items() if part is None and name not in left]
    lines = [tag("li", tag("strong", f"{name}: "), why) for name, why in left.items()]
    if not_asked:
        lines.append(tag("li", tag("strong", f"{', '.join(not_asked)}: "), "not asked for, see --measures."))
    body.append(tag("ul", *lines) if lines else tag("p", "Nothing: every part was done."))
    body += [
        tag("h3", "What this cannot tell"),
        tag(
            "ul",
            *(
                tag("li", line)
                for line in (
                    "Why labels are skewed: it may be the data, the people who labelled it, or the world. Proxies are "
                    "no causes.",
                    "Who wrote or is meant: groups are found by words or by a column. Pronouns are those of the text, "
                    "and most texts have she or he only.",
                    "What a model will do: it may take up more or less than is here. That is what evenset run and "
                    "evenset verify are for.",
                    "That there is no bias: a pass means that nothing was found beyond the limits on these axes, with "
                    "these word lists.",
                )
            ),
        ),
    ]
    return Section("about", "How this was made, and its limits", join(body))


def _rule(rule: Mapping[str, Any]) -> str:
    where = " ".join(f"{name} {rule[name] or '(whole axis)'}" for name in ("axis", "group", "label") if name in rule)
    limits = ", ".join(f"{name} {rule[name]:g}" for name in rule if name not in ("axis", "group", "label", "measure"))
    return f"{rule['measure']}{' ' + where if where else ''}: {limits}"
