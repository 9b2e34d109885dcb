"""What a caller got wrong, and what stopped a run."""

from numbers import Integral


class InputError(ValueError):
    """Something that was given is wrong: an argument, a file, a setting, a place to write to.

    Its message is one line that says what was expected and what came. The command line prints it
    and exits with code 2.
    """

    def __init__(self, message=""):
        super().__init__(" ".join(str(message).split()))  # one line, whatever was given that stands in it


class Stopped(RuntimeError):
    """Training ended before its last step, with all that is needed to go on kept, if there was time for it.

    Its message is one line: the step, the reason, and what is kept. The command line prints it, adds
    the command that goes on, and exits with code 1.

    Attributes:
        flags: what to add to that command; None if nothing is kept to go on from.
    """

    def __init__(self, message: str, flags: str | None = ""):
        super().__init__(message)
        self.flags = flags


def expect_whole(name, value, least, most):
    """A value as an int; an `InputError` unless it is a whole number within bounds, of whatever type but bool."""
    if isinstance(value, bool) or not (isinstance(value, Integral) and least <= int(value) <= most):
        raise InputError(f"`{name}` must be a whole number from {least} to {most}. Received: {shown(value)}.")
    return int(value)


def expect_kind(name, value, kinds):
    """The value; an `InputError` unless it is of a type, or of one of several."""
    if not isinstance(value, kinds):
        names = " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
        raise InputError(f"`{name}` must be of type {names}. Received: {shown(value)}.")
    return value


def reason(error):
    """Why, in few words: what the disk says, the exception's message, or else its kind."""
    said = " ".join(str(getattr(error, "strerror", None) or error).split())
    return said[:200] or type(error).__name__


def shown(value, most=100):
    """What was given as a message shows it: not at length."""
    try:
        text = repr(value)
    except ValueError:  # of a number with more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= most else f"{text[:most]} …"
