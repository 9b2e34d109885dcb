"""How far something is."""

import sys
import threading
import time


class Progress:
    """Says how far something is, once it has taken a second.

    On a terminal in one line that is rewritten; elsewhere a line now and then.

    Args:
        what: is done.
        images: it is done with how many; of several, it is said how many a second.
    """

    def __init__(self, what, images=1):
        self._what, self._images, self._begun = what, images, time.monotonic()
        self._shown = 0
        self._share = 0
        self._first = threading.Timer(1, lambda: self(self._share))
        self._first.daemon = True
        self._next = time.monotonic() + 1
        self._terminal = sys.stdout.isatty()

    def __call__(self, share):
        """`share`: from 0 to 1."""
        self._share = share
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (0.2 if self._terminal else 10)
        text = f"{self._what}: {share:.0%}"
        if self._images > 1 and share:
            rate = share * self._images / (time.monotonic() - self._begun)
            text += f", {float(f'{rate:.2g}'):g} images a second"
        self._shown, text = len(text), text.ljust(self._shown) if self._terminal else text
        print(f"\r{text} " if self._terminal else text, end="" if self._terminal else "\n", flush=True)

    def __enter__(self):
        self._first.start()
        return self

    def __exit__(self, *_):
        self._first.cancel()
        if self._terminal:
            print("\r" + " " * (self._shown + 1) + "\r", end="", flush=True)
