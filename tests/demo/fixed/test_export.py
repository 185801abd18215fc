"""Stock levels written to CSV files and read back: the mended fixtures are all these tests need."""

from leaky.test_export import *  # noqa: F401,F403
