"""What moved the gap: the shares of data, pre-training and both together, with intervals."""

from __future__ import annotations

from pathlib import Path

from .common import BLACK, GREY, SMALL, Json, colour, drawn, known, marker

NAME = "shares"
_WORDS = {
    "upstream": "pre-training",
    "data": "data",
    "interaction": "both together",
    "chance": "seeds, the rest",
}
_FORMS = (("shares", "gap"), ("per_target", "gaps of single terms or labels"))


def draw_shares(verdict: Json, folder: str | Path) -> list[Path]:
    """Draw ``shares`` from ``verdict["attribution"]``.

    Parameters
    ----------
    verdict : mapping
        Contents of verdict.json.
    folder : path
        Gets ``shares.svg`` and ``shares.png``.

    Returns
    -------
    list of Path
        Empty where nothing was attributed.
    """
    found = verdict.get("attribution") or {}
    forms = []
    for key, words in _FORMS:
        part = found.get(key) or {}
        effects = {
            effect["name"]: (effect["share"], effect.get("low"), effect.get("high"))
            for effect in part.get("effects") or ()
            if known(effect.get("share"))
        }
        if effects:
            forms.append((words, effects))
    if not forms:
        return []
    main = forms[0][1]
    names = sorted(main, key=lambda name: -main[name][0])
    doubt = next(
        (found[key].get("doubt") for key, words in _FORMS[:1] if found.get(key) and words == forms[0][0]), None
    )
    title = _title(names, main, doubt)
    said = "; ".join(
        f"{_WORDS.get(name, name)} {_percent(*effects[name])}" for words, effects in forms[:1] for name in names
    )
    made = drawn(title, x="share of what moved the gap, adjusted for chance, %", y="", alt=f"{title}. Shares: {said}.",
                 height=1.5 + 0.42 * len(names) + 0.15 * len(forms))  # fmt: skip
    axes = made.axes
    ends = [0.0, 100.0]
    for at, (words, effects) in enumerate(forms):
        offset = 0.14 * (len(forms) - 1 - 2 * at)
        for row, name in enumerate(names):
            if name not in effects:
                continue
            share, low, high = effects[name]
            y = offset - row
            if known(low, high):
                axes.plot([100 * low, 100 * high], [y, y], color=colour(at), linewidth=2)
                ends += [100 * low, 100 * high]
            axes.plot([100 * share], [y], marker=marker(at), markersize=6.5, color=colour(at), linestyle="none",
                      label=words if row == 0 else None)  # fmt: skip
            ends.append(100 * share)
            if at == 0:
                right = max(100 * share, 100 * high if known(high) else 0)
                axes.annotate(f"{100 * share:.0f}", (right, y), xytext=(5, 0), textcoords="offset points",
                              va="center", fontsize=SMALL, color=GREY)  # fmt: skip
    axes.axvline(0, color=BLACK, linewidth=1)
    axes.set_yticks([-row for row in range(len(names))], [_WORDS.get(name, name) for name in names])
    axes.set_ylim(-len(names) + 0.4, 0.6)
    axes.set_xlim(min(ends) - 3, max(ends) + 6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    if len(forms) > 1:
        made.canvas.legend(loc="outside lower left", ncols=1, fontsize=SMALL, frameon=False)
    return made.save(folder, NAME)


def _percent(share: float, low: float | None, high: float | None) -> str:
    ends = f" ({100 * low:.0f} to {100 * high:.0f})" if low is not None and high is not None else ""
    return f"{100 * share:.0f} %{ends}"


def _title(names: list[str], effects: dict[str, tuple[float, float | None, float | None]], doubt: str | None) -> str:
    """The answer as the attribution's sentence gives it; records that say nothing of doubts go by the interval."""
    first, *rest = names
    others = " and ".join(f"{_WORDS.get(name, name)} {_percent(effects[name][0], None, None)}" for name in rest)
    share, low, _ = effects[first]
    if doubt:
        return f"What moved the gap cannot be told: {doubt}"
    if doubt is None and (not known(low) or (low is not None and low <= 0)):
        return "What moved the gap cannot be told: every share may be 0"
    top = _WORDS.get(first, first)
    return f"{top[0].upper()}{top[1:]} explains {100 * share:.0f} % of what moved the gap" + (
        f", {others}" if others else ""
    )
