"""Exit codes. 0: done. 2: a mistake of the user's, said in one line on stderr. 1: anything else."""

import sys
import warnings
from pathlib import Path

from pcnn_keras.errors import InputError, Stopped


def program():
    """The program's name, as its messages begin: `train.py`, `pcnn train`, or the package that `python -m` runs."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name


def calling(name):
    """How another program is called, in the way that this one was: `python sample.py`, or `pcnn sample`."""
    front = program().rpartition(" ")[0]
    return f"{front} {name}".split() if front else ["python", f"{name}.py"]


def run(main):
    """Calls `main()` and turns its outcome into an exit code."""
    warnings.simplefilter("ignore")  # of libraries, about things that no flag changes
    try:
        sys.exit(main())
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
        leave("there is not enough memory for that.", 2)


def leave(message, code):
    """Ends the program with one line on stderr, whatever was given that stands in it."""
    print(f"{program()}: {' '.join(str(message).split())}", file=sys.stderr)
    sys.exit(code)
