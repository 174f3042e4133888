"""Commands that have others below them."""

from __future__ import annotations

from typing import Any

from lmeec_cli.help import Group


class TakesOrCommand(Group):
    """A command with an argument of its own that has commands below it: the first word says which is meant."""

    allow_extra_args = False
    allow_interspersed_args = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Leave the words of a command below to that command."""
        if args and args[0] in self.commands:
            ctx.args = list(args)
            return list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command below that the first word names, or this one."""
        if not ctx.args:
            return super().invoke(ctx)
        name, command, words = self.resolve_command(ctx, ctx.args)
        assert command is not None  # parse_args saw its name
        # Not below this command, whose own argument would be part of that one's name.
        with ctx, command.make_context(f"{ctx.info_name} {name}", words, parent=ctx.parent) as below:
            return command.invoke(below)
