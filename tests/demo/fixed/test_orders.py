"""Ordering what runs out: the mended fixtures are all these tests need."""

from leaky.test_orders import *  # noqa: F401,F403
