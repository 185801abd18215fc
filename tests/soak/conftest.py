"""The helpers and the fixtures of the kernel tests, for tests that take longer or need large packages."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kernel"))

pytest_plugins = ["quiet_points"]
