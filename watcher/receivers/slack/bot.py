"""Slack by a bot: a thread for each run of an instance, whose parent always shows the present status."""

from __future__ import annotations

from functools import reduce

from watcher.core.clock import Clock
from watcher.core.errors import DeliveryError
from watcher.core.event_json import format_time
from watcher.core.model import Event, InstanceKey, Notification
from watcher.core.ports import Notebook
from watcher.receivers.base import Describer
from watcher.receivers.message import Message
from watcher.receivers.slack.api import Posted, SlackApi
from watcher.receivers.slack.blocks import content, status
from watcher.receivers.slack.errors import MESSAGE_GONE, THREAD_GONE, UNEDITABLE, SlackError
from watcher.receivers.slack.thread import Reply, Thread, mark_of, opened, read_thread, thread_key

_PARENTS = 10
"""How many parents are edited after a digest: Slack takes 50 edits a minute, and the digest has told it all."""


class SlackBotReceiver:
    """Posts to one channel: each event as a reply in the thread of its run, a digest or a test by itself.

    What was done is noted step by step: a try after a failure or a restart goes on where the one before stopped.
    """

    type = "slack"
    digest_bytes = None

    def __init__(
        self, *, name: str, api: SlackApi, channel: str, describe: Describer, notebook: Notebook, clock: Clock
    ) -> None:
        self.name = name
        self._api = api
        self._channel = channel
        self._describe = describe
        self._notebook = notebook
        self._clock = clock

    async def send(self, notification: Notification) -> str:
        """Have it in the channel; raises DeliveryError, and StoreError when it cannot be noted."""
        message = self._describe(notification)
        if notification.test:
            posted = await self._api.post(self._channel, content(message))
            return f"HTTP 200 ok: message {posted.ts} in {posted.channel}"
        if notification.is_digest:
            return await self._tell_all(notification, message)
        return await self._tell(notification.event, message)

    async def reach(self) -> None:
        """Ask Slack whether the token is good; raises DeliveryError."""
        await self._api.test()

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _tell(self, event: Event, message: Message) -> str:
        thread = await self._read(event.key)
        if thread is None or not thread.tells(event):
            thread = await self._open(event, message, before=thread)
        try:
            thread = await self._reply(thread, event, message)
        except SlackError as error:
            if error.word not in THREAD_GONE:
                raise
            thread = await self._reply(await self._open(event, message, before=thread), event, message)
        await self._show(thread, event, message)
        return f"HTTP 200 ok: thread {thread.ts} in {thread.channel}"

    async def _open(self, event: Event, message: Message, *, before: Thread | None) -> Thread:
        """Post a parent that shows how things are by the event."""
        thread = opened(event, before=before, asked=self._channel)
        shown = _status(thread.after(event), event, message)
        posted = await self._api.post(self._channel, shown)
        return await self._write(event.key, thread.changed(channel=posted.channel, ts=posted.ts, shown=mark_of(shown)))

    async def _reply(self, thread: Thread, event: Event, message: Message) -> Thread:
        """Tell the event in the thread; if it was told, have what was told say what is known now."""
        details = content(message)
        mark = mark_of(details)
        told = thread.told.get(event.id)
        if told is not None and told.mark == mark:
            return thread
        if told is not None and await self._edit(Posted(channel=thread.channel, ts=told.ts), details):
            return await self._write(event.key, thread.with_mark(event, mark))
        broadcast = told is None and thread.opened_by != event.id and bool(event.alerts)
        posted = await self._api.post(thread.channel, details, thread_ts=thread.ts, broadcast=broadcast)
        if posted.alone:
            # The parent was deleted. What was to be the reply stands in the channel: it becomes the parent.
            thread = thread.changed(ts=posted.ts, opened_by=event.id, shown="")
            await self._write(event.key, thread)
            posted = await self._api.post(thread.channel, details, thread_ts=thread.ts)
        reply = Reply(ts=posted.ts, mark=mark, fires=bool(event.alerts))
        return await self._write(event.key, thread.after(event).with_reply(event, reply))

    async def _edit(self, at: Posted, details: dict[str, object]) -> bool:
        """Whether the message says this now, or nobody wants to read it: False when Slack lets nobody change it."""
        try:
            await self._api.update(at, details)
        except SlackError as error:
            if error.word in UNEDITABLE:
                return False
            if error.word not in MESSAGE_GONE:
                raise
        return True

    async def _show(self, thread: Thread, event: Event, message: Message) -> None:
        """Have the parent show the present status, if it is the event's."""
        if thread.last != event.id:
            return
        shown = _status(thread, event, message)
        mark = mark_of(shown)
        if thread.shown == mark:
            return
        try:
            await self._api.update(thread.parent, shown)
        except SlackError as error:
            if error.word in MESSAGE_GONE:
                thread = thread.changed(lost=True)  # what comes next begins a new one
            elif error.word not in UNEDITABLE:
                raise
        await self._write(event.key, thread.changed(shown=mark))

    async def _tell_all(self, notification: Notification, message: Message) -> str:
        """Post a digest by itself, and have the threads of its instances know of it."""
        key = f"digest/{notification.id}"
        at = await self._notebook.note(self.name, key)
        if at is None:
            at = (await self._api.post(self._channel, content(message))).ts
            await self._notebook.write_note(self.name, key, at, now=self._clock.now())
        stale = await self._caught_up(notification)
        try:
            for thread, event in stale[:_PARENTS]:
                alone = Notification(id=event.id, events=(event,))
                await self._show(thread, event, self._describe(alone))
        except DeliveryError:
            pass  # the digest is told; a parent is put right by the next event of its thread
        return f"HTTP 200 ok: message {at}"

    async def _caught_up(self, notification: Notification) -> list[tuple[Thread, Event]]:
        """The threads that the digest changes, noted, each with its newest event; those that are over come first."""
        histories: dict[InstanceKey, list[Event]] = {}
        for event in notification.events:
            histories.setdefault(event.key, []).append(event)
        changed = list[tuple[Thread, Event]]()
        for key, events in histories.items():
            before = await self._read(key)
            if before is None or (not before.tells(events[-1]) and before.last != events[-1].id):
                continue
            thread = reduce(Thread.after, events, before)
            if thread.at == events[-1].observed_at:
                thread = thread.changed(last=events[-1].id)
                if thread != before:  # a try that ran out of time is gone on with, not made anew
                    await self._write(key, thread)
                changed.append((thread, events[-1]))
        return sorted(changed, key=lambda pair: (not pair[0].ended, not pair[0].firing))

    async def _read(self, key: InstanceKey) -> Thread | None:
        return read_thread(await self._notebook.note(self.name, thread_key(key)), asked=self._channel)

    async def _write(self, key: InstanceKey, thread: Thread) -> Thread:
        await self._notebook.write_note(self.name, thread_key(key), thread.note, now=self._clock.now())
        return thread


def _status(thread: Thread, event: Event, message: Message) -> dict[str, object]:
    """What the parent shows."""
    firing = ", ".join(alert.name for alert in thread.firing.values())
    facts = [("Firing", firing)] if firing else []
    return status(message, tone=thread.tone(event), facts=[*facts, ("Since", format_time(thread.since))])
