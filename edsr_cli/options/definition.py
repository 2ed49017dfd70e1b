"""What an option is, and how functions take groups of them.

A group is a frozen dataclass. It checks its values, and a function that takes one can be called
with the options as keyword arguments.
"""

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from textwrap import fill
from typing import Any, ParamSpec, TypeVar, dataclass_transform, get_args, get_origin

from msgspec import Struct
from msgspec.structs import replace

from edsr_cli.options.values import Given, Kind

EVERYDAY, SIZE = "Options", "Size of the output (one of these)"
WHICH, OUTPUT = "Which pictures", "Details of the output"
RECIPE, RUN = "Recipe (default: the paper's)", "Details of the run"
SOURCES, MACHINE = "Where from, where to", "Memory and speed"
CLUSTER = "Many machines"
WEIGHTS, MESSAGES = "Weights from elsewhere, given as a file with -m", "Messages"
PANELS = (EVERYDAY, SIZE, WHICH, OUTPUT, RECIPE, RUN, SOURCES, MACHINE, CLUSTER, WEIGHTS, MESSAGES)
"""The panels of help pages, in order."""

SHORT = (EVERYDAY, SIZE)
"""Those on the short page."""

P = ParamSpec("P")
Group = TypeVar("Group", bound="Options")
Made = TypeVar("Made")


class Option(Struct, frozen=True):
    """How an option is called, and what it is for.

    Attributes:
        kind: what values it takes.
        flags: how it is called on the command line, such as "-s --scale" or "--this/--not-this";
            "" for what is given by its place, and None for what only Python can give.
        metavar: what stands for its value on help pages; "" for a switch.
        text: what it is for. The default is told there where that takes words.
        panel: where it stands on a help page.
        least, most: the range of a number.
    """

    kind: Kind
    flags: str | None
    metavar: str
    text: str
    panel: str = EVERYDAY
    least: int | None = None
    most: int | None = None

    def checked(self, name: str, value: Any) -> Any:
        """A value that Python has given, made right.

        Raises:
            TypeError, ValueError: it is no such value; the message begins with the name.
        """
        value = self.kind.check(name, value)
        if not self._is_within(value):
            raise ValueError(f"{name} must be {self._limits}, not {value}")
        return value

    def read(self, text: str) -> Any:
        """A value from the command line.

        Raises:
            ValueError: it is no such value; the message names the text.
        """
        value = self.kind.of(text)
        if not self._is_within(value):
            raise ValueError(f"{text} is not {self._limits}.")
        return value

    def words(self, value: Any) -> list[str]:
        """What gives a value on the command line, with the first of its flags."""
        flag = (self.flags or "").split()[:1]
        if self.kind.type is bool:
            on, _, off = flag[0].partition("/")
            return [on if value else off]
        several = value if self.kind.several else [value]
        return [word for each in several for word in (*flag, self.kind.write(each))]

    def _is_within(self, value: Any) -> bool:
        too_small = self.least is not None and value < self.least
        return not (too_small or (self.most is not None and value > self.most))

    @property
    def _limits(self) -> str:
        if self.most is None:
            return f"at least {self.least}"
        return f"from {self.least} to {self.most}"


def option(
    kind: Kind,
    flags: str | None,
    metavar: str,
    text: str,
    *,
    panel: str = EVERYDAY,
    least: int | None = None,
    most: int | None = None,
    default: Any = dataclasses.MISSING,
    kw_only: bool = True,
) -> Any:
    """A field of a group; see `Option`. Without a default it must be given."""
    described = Option(kind, flags, metavar, text, panel, least, most)
    return dataclasses.field(default=default, kw_only=kw_only, metadata={"option": described})


def again(
    group: type["Options"],
    name: str,
    *,
    default: Any,
    kw_only: bool = True,
    **changes: Any,
) -> Any:
    """An option of another group, with some of `Option`'s attributes changed.

    Its default has to be stated, so that type checkers know that there is one; ... is that of
    before.
    """
    known = {each.name: each for each in dataclasses.fields(group)}[name]
    described = replace(known.metadata["option"], **changes)
    default = known.default if default is ... else default
    return dataclasses.field(default=default, kw_only=kw_only, metadata={"option": described})


@dataclass_transform(kw_only_default=True, field_specifiers=(option, again))
def group(cls: type[Made]) -> type[Made]:
    """Make a class a group of options."""
    # `Options` has what is the same for all: writing it anew for each would make help wait.
    return dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)


@group
class Options:
    """A group of options; what is given is checked."""

    def __post_init__(self) -> None:
        for name, each in options_of(type(self)).items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, each.checked(name, value))
            elif default_of(type(self), name) is not None:
                raise TypeError(f"{name} must be something other than None")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__qualname__}({values})"

    def words(self) -> list[str]:
        """What gives the same options on a command line: all that are not as they are by default.

        What only Python can give is left out.
        """
        inputs: list[str] = []
        others: list[str] = []
        for name, each in options_of(type(self)).items():
            value = getattr(self, name)
            if each.flags is not None and value != default_of(type(self), name):
                (others if each.flags else inputs).extend(each.words(value))
        if any(word.startswith("-") for word in inputs):
            return [*others, "--", *inputs]
        return [*inputs, *others]

    def part(self, group: type[Group], **changes: Any) -> Group:
        """The options that a group has which this one is made from, with some changed."""
        values = {name: getattr(self, name) for name in options_of(group)}
        return group(**values | changes)


def options_of(group: type[Options]) -> dict[str, Option]:
    """The options of a group, by name."""
    return {each.name: each.metadata["option"] for each in dataclasses.fields(group)}


def default_of(group: type[Options], name: str) -> Any:
    """The default of an option; `dataclasses.MISSING` if it must be given."""
    return {each.name: each.default for each in dataclasses.fields(group)}[name]


def takes(
    group: Callable[P, Group],
) -> Callable[[Callable[[Group], Made]], Callable[P, Made]]:
    """Let a function that takes a group be called with its options by name.

    Its signature and the arguments in its docstring become those of the group.
    """

    def decorate(function: Callable[[Group], Made]) -> Callable[P, Made]:
        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> Made:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:  # in words about the function, not about its group
                raise TypeError(f"{function.__name__}() {error}") from None
            return function(group(*args, **kwargs))

        signature = inspect.signature(group)
        parameters = [
            each.replace(annotation=_given(each.annotation))
            for each in signature.parameters.values()
        ]
        vars(called)["__signature__"] = signature.replace(
            parameters=parameters,
            return_annotation=inspect.signature(function).return_annotation,
        )
        called.__doc__ = _with_arguments(inspect.getdoc(function) or "", group)  # type: ignore[arg-type]
        return called

    return decorate


def _given(annotation: Any) -> Any:
    """What may be given for a field."""
    return get_args(annotation)[0] if get_origin(annotation) is Given else annotation


def _with_arguments(text: str, group: type[Options]) -> str:
    """A docstring with what the options of a group are for, below its first paragraph."""
    first, _, rest = text.partition("\n\n")
    lines = [
        fill(f"{name}: {each.text}", 100, initial_indent=4 * " ", subsequent_indent=8 * " ")
        for name, each in options_of(group).items()
    ]
    return "\n".join([first, "", "Args:", *lines, "", rest]).rstrip() + "\n"
