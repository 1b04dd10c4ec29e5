"""Slack: messages by an incoming webhook, or by a bot that keeps threads."""

from watcher.receivers.slack.settings import SlackSettings

__all__ = ["SlackSettings"]
