"""Where the application logs to: opened once, open as long as the program runs. That is no leak."""

import logging

log = logging.getLogger("inventory")


def log_to(folder):
    """Log to two files in `folder` from now on.

    logging's exit hook closes the stream of a FileHandler, but only flushes the stream that a
    StreamHandler was given: the first file is closed before the interpreter is taken down, the second
    as it is.
    """
    log.setLevel(logging.INFO)
    log.addHandler(logging.FileHandler(folder / "inventory.log"))  # closed by an exit hook
    log.addHandler(logging.StreamHandler(open(folder / "audit.log", "a")))  # held
