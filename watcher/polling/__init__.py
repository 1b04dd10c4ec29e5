"""When and how the cloud is asked, and what is done with each answer."""

from watcher.polling.intake import Watched
from watcher.polling.orphans import close_orphans
from watcher.polling.poller import SourcePoller
from watcher.polling.scheduler import PollScheduler

__all__ = ["PollScheduler", "SourcePoller", "Watched", "close_orphans"]
