"""The same suite with every leak mended. What needed no mending is imported from the leaky one."""
