"""Exit codes. 0: done. 2: a mistake of the user's, said in one line on stderr. 1: anything else."""

import os
import signal
import sys
import threading
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

from pcnn_keras.errors import InputError, Stopped


def program():
    """The program's name, as its messages begin: `train.py`, `pcnn train`, or the package that `python -m` runs."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name


def calling(name):
    """How another program is called, in the way that this one was: `python sample.py`, or `pcnn sample`."""
    front = program().rpartition(" ")[0]
    return f"{front} {name}".split() if front else ["python", str(Path(sys.argv[0]).with_name(f"{name}.py"))]


class Output:
    """Standard output that stops no program: what cannot be written any more is remembered, and work goes on.

    Attributes:
        stream: what is written to.
        error: the first `OSError` of writing, or None.
    """

    def __init__(self, stream):
        self.stream, self.error = stream, None

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        self._try(self.stream.write, text)
        return len(text)

    def flush(self):
        self._try(self.stream.flush)

    def _try(self, do, *given):
        if not self.error:
            try:
                do(*given)
            except OSError as error:
                self.error = error
                with open(os.devnull, "w") as nowhere:  # where Python's own flush at the end goes
                    os.dup2(nowhere.fileno(), 1)

    def finish(self):
        """Writes what is left; an `InputError` if something was lost of which there was still a reader."""
        self.flush()
        if self.error and not isinstance(self.error, BrokenPipeError):
            raise InputError(f"Standard output cannot be written: {self.error.strerror}.")


def _open_streams():
    """Standard streams, all there and able to say everything; returns the output.

    Files that are opened later would otherwise take the number of a stream that is closed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # PYTHONIOENCODING=ascii and other letters in a path
    sys.stdout = Output(sys.stdout)
    return sys.stdout


def run(main):
    """Calls `main()` and turns its outcome into an exit code."""
    warnings.simplefilter("ignore")  # of libraries, about things that no flag changes
    output = _open_streams()
    try:
        with _ending_as_ctrl_c():
            sys.exit(_code(main, output))
    except InputError as error:
        leave(error, 2)
    except OSError as error:  # of a file that is not handled where it is used
        if not error.filename:
            raise
        leave(f"{error.filename}: {error.strerror}.", 2)
    except Stopped as error:
        leave(error, 1)
    except KeyboardInterrupt:
        leave("stopped.", 1)
    except Exception as error:
        if not isinstance(error, MemoryError) and type(error).__name__ != "ResourceExhaustedError":  # TensorFlow's
            raise
        leave("there is not enough memory for that: smaller batches, or fewer images or completions, take less.", 2)
    finally:
        output.flush()
        sys.stdout = output.stream


def _code(main, output):
    try:
        code = main()
    except SystemExit as error:  # argparse's, after --help
        code = error.code
    if not code:
        output.finish()
    return code


@contextmanager
def _ending_as_ctrl_c():
    """Inside, SIGTERM and SIGHUP do what Ctrl-C does: what is half-written goes. Not under nohup, which ignores one."""
    before = {}
    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        for each in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(each) == signal.SIG_DFL:
                before[each] = signal.signal(each, signal.default_int_handler)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def leave(message, code):
    """Ends the program with one line on stderr, whatever was given that stands in it."""
    say(message)
    sys.exit(code)


def say(message):
    """One line on stderr."""
    with suppress(OSError):
        print(f"{program()}: {' '.join(str(message).split())}", file=sys.stderr, flush=True)
