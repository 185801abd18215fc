"""Goods coming and going: the mended fixtures are all these tests need."""

from leaky.test_stock import *  # noqa: F401,F403
