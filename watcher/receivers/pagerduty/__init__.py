"""PagerDuty: one incident for each alert (Events API v2)."""

from watcher.receivers.pagerduty.receiver import PagerDutySettings

__all__ = ["PagerDutySettings"]
