"""`watcher report`: a time in pictures and tables, as one HTML file for people who would rather look than read."""

from watcher.cli.report.command import report

__all__ = ["report"]
