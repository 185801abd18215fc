"""A small stock-keeping application, the code that the demo's two suites test.

It is ordinary on purpose: SQLAlchemy models, one engine for each database file, a CSV export, a line
protocol for updates over TCP and a packed table of stock levels. It closes what it opens, except what
the caller is to close (the engines) and the log.
"""
