"""What ends training before its time: a signal, a full disk, a machine that is lost, a loss that is no number."""

import os
import signal
import threading
from contextlib import contextmanager, suppress

from pcnn_keras.errors import InputError, Stopped
from pcnn_keras.training.run import Diverged


class Signals:
    """`with Signals() as signals:` the first signal is only noted, the second ends the program's work.

    Signals are Ctrl-C, SIGTERM and SIGHUP, but for those that are ignored, as under nohup.

    Attributes:
        came: whether one came.
    """

    def __init__(self):
        self.came = False
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            self._before = {number: signal.signal(number, self._note)
                            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
                            if signal.getsignal(number) not in (signal.SIG_IGN, None)}  # None: not of Python's
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, *_):
        with suppress(OSError):
            os.write(1, b"\nStopping after this step. Ctrl-C again stops at once.\n")  # print() may be at work
        self.came = True
        self.__exit__()


@contextmanager
def saying_what_is_kept(run, checkpoint):
    """What ends training inside becomes a `Stopped` that says what is kept; before anything is, an `InputError`.

    Args:
        run: the `Run`.
        checkpoint: its `Checkpoint`.
    """
    def stopped(reason, flags=""):
        if checkpoint.step is None:
            return Stopped(f"Stopped at step {run.step}: {reason}. Nothing is kept yet.", None)
        return Stopped(f"Stopped at step {run.step}: {reason}. {run.folder} holds the run up to step "
                       f"{checkpoint.step}.", flags)

    try:
        yield
    except KeyboardInterrupt:
        raise stopped("interrupted") from None
    except ConnectionError as error:
        raise stopped(str(error)) from error
    except Diverged as error:
        raise stopped(str(error), f"--learning-rate {run.config.learning_rate / 2:g}") from error
    except InputError as error:  # of writing
        if checkpoint.step is None:
            raise
        raise stopped(str(error).removesuffix(".")) from error
