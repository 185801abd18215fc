"""The articles themselves: the mended fixtures are all these tests need."""

from leaky.test_catalogue import *  # noqa: F401,F403
