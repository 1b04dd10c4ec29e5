"""Webhooks: events as JSON over HTTP, signed as Standard Webhooks say."""

from watcher.receivers.webhook.receiver import WebhookSettings

__all__ = ["WebhookSettings"]
