"""What a caller got wrong, and what stopped a run."""


class InputError(ValueError):
    """Something that was given is wrong: an argument, a file, a setting, a place to write to.

    Its message is one line that says what was expected and what came. The command line prints it
    and exits with code 2.
    """


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
