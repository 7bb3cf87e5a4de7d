"""How commands show their help: options by what they are about, commands in the order of the work."""

from __future__ import annotations

import click

_ABOUT = {
    "Columns": (
        "text", "label", "positive", "label_threshold", "axes", "weight", "id_column", "cluster", "preset", "form",
        "roles", "encoding",
    ),
    "Output": ("out", "overwrite", "quiet", "as_json", "help"),
}  # fmt: skip
_WORK = {
    "Start": ("demo", "sample", "completion"),
    "Data": ("audit", "check", "curate", "explain", "restore", "card"),
    "Models": ("upstream", "run", "finetune", "verify", "attribute"),
    "Reference": ("measures", "lexicon"),
}
_FEW = 10
"""A command of so few options shows them in one list."""


class Command(click.Command):
    """A command whose help lists many options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options: the command's own, those of columns, those of output."""
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        shown = [(one, line) for one in options if (line := one.get_help_record(ctx)) is not None]
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], **{title: [] for title in _ABOUT}}
        for one, line in shown:
            about = next((title for title, names in _ABOUT.items() if one.name in names), "Options")
            sections["Options" if len(shown) <= _FEW else about].append(line)
        for title, lines in sections.items():
            if lines:
                with formatter.section(title):
                    formatter.write_dl(lines)


class Group(click.Group):
    """A group whose help lists its commands in the order of the work, and that says which name was meant."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, those of no section under "More"."""
        known = {name: one for name in self.list_commands(ctx) if (one := self.get_command(ctx, name)) is not None}
        sections = {title: [name for name in names if name in known] for title, names in _WORK.items()}
        placed = {name for names in sections.values() for name in names}
        if not placed:
            sections = {"Commands": list(known)}
        elif others := [name for name in known if name not in placed]:
            sections["More"] = others
        width = max(map(len, known), default=0)
        for title, names in sections.items():
            if names:
                with formatter.section(title):
                    limit = formatter.width - 6 - width
                    formatter.write_dl([(name.ljust(width), known[name].get_short_help_str(limit)) for name in names])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with what is near it."""
        from ..data.errors import suggest

        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = suggest(args[0], self.list_commands(ctx)) or f" There are {', '.join(self.list_commands(ctx))}."
            ctx.fail(f'there is no command "{args[0]}".{near}')
        return super().resolve_command(ctx, args)
