"""Apprise: more than a hundred services by one address each."""

from watcher.receivers.apprise.receiver import AppriseSettings

__all__ = ["AppriseSettings"]
