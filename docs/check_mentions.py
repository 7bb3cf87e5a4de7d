"""Does what the documents mention exist? Commands and their options, files and headings that are linked, examples.

An option is looked up in click's own tables: after ``evenset COMMAND`` among those of the command, and where it stands
alone in `code` among those of all. Links between files of this repository must lead to a file, and after # to a heading
of it. Each document must be reachable from docs/README.md. Each examples/*.toml must be a config that evenset reads.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
COMMAND = re.compile(r"(?:^|(?<=[\s(]))(?:python -m )?evenset (?=[a-z-])([^|;&)\n]*)")
OPTION = re.compile(r"(?:^|(?<=\s))(--?[a-zA-Z][a-zA-Z0-9-]*)")


def options_of(command: click.Command) -> set[str]:
    """All spellings of a command's options."""
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help",
        "-h",
    }


def every_option(command: click.Command) -> set[str]:
    """The options of a command and of those below it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return options_of(command).union(*(every_option(one) for one in below))


def wrong_command(words: str, root: click.Group) -> str | None:
    """What is wrong with the words after `evenset`, if anything."""
    command: click.Command = root
    for word in words.split():
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        if word not in command.commands:
            if not re.fullmatch(r"[a-z][a-z-]*", word):  # COMMAND, …
                break
            return f'there is no command "{word}" after `{command.name}`'
        command = command.commands[word]
    known = options_of(command)
    for option in OPTION.findall(words):
        if option not in known:
            return f"`evenset {command.name}` has no option {option}"
    return None


def commands_in(text: str) -> Iterator[tuple[int, str]]:
    """Code of a document with its line: fenced blocks logical line by logical line, and spans of the rest."""
    for fence in FENCE.finditer(text):
        if fence[1] == "python":  # `from evenset import …`
            continue
        first = text.count("\n", 0, fence.start(2)) + 1
        joined = re.sub(r"\\\n\s*", " ", fence[2])
        for offset, line in enumerate(joined.splitlines()):
            yield first + offset, re.split(r"\s#(?=\s)", line)[0]
    prose = FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), text)
    for span in SPAN.finditer(prose):
        yield prose.count("\n", 0, span.start()) + 1, " ".join(span[1].split())


def wrong_mentions(text: str, root: click.Group) -> Iterator[str]:
    """What a document says of commands and options that is not so, each with its line."""
    everywhere = every_option(root)
    for line, code in commands_in(text):
        for found in COMMAND.finditer(code):
            if wrong := wrong_command(found[1], root):
                yield f"{line}: {wrong}"
        if code.startswith("--"):
            for option in OPTION.findall(code):
                if option not in everywhere:
                    yield f"{line}: no command has an option {option}"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    kept = FENCE.sub("", text)
    made = (re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in HEADING.findall(kept))
    return set(made)


def wrong_links(path: Path, text: str) -> Iterator[str]:
    """Links to files or headings that are not there."""
    for link in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists():
            yield f"the link to {link} leads nowhere"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"the link to {link} leads to no heading"


def unreached(index: Path, documents: list[Path]) -> list[str]:
    """Documents to which the index has no link."""
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text("utf-8"))}
    return [str(path) for path in documents if path.resolve() not in linked and path != index]


def wrong_examples(folder: Path) -> Iterator[str]:
    """Configs that evenset does not read."""
    from evenset.data.config import load
    from evenset.data.errors import InputError

    for path in sorted(folder.glob("*.toml")):
        try:
            load(path)
        except InputError as error:
            yield f"{path.name}: {error}"


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    import os

    from evenset.cli import cli

    os.environ.setdefault("EVENSET_DATA", "data")
    here = Path(__file__).resolve().parent
    pages = [*sorted(here.glob("*.md")), *sorted((here / "howto").glob("*.md"))]
    wrong = []
    for path in [
        here.parent / "README.md",
        here.parent / "CONTRIBUTING.md",
        *pages,
        *(here / "experiments").glob("*.md"),
    ]:
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(here.parent)
        wrong += [f"{name}:{what}" for what in wrong_mentions(text, cli)]
        wrong += [f"{name}: {what}" for what in wrong_links(path, text)]
    wrong += [f"docs/README.md has no link to {path}" for path in unreached(here / "README.md", pages)]
    wrong += list(wrong_examples(here.parent / "examples"))
    print("\n".join(wrong) if wrong else f"what {len(pages) + 2} documents mention exists")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
