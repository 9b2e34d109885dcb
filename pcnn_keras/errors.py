"""The one exception for what a caller got wrong."""


class InputError(ValueError):
    """Something that was given is wrong: an argument, a file, a setting.

    Its message is one line that says what was expected and what came. The command line prints it
    and exits with code 2.
    """
