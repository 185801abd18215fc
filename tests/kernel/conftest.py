"""Fixtures that several files of tests use."""

pytest_plugins = ["quiet_points"]
