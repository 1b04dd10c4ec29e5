"""What Slack's error words mean: whether to try again, and what to do.

Words: https://docs.slack.dev/reference/methods/chat.postMessage, chat.update and auth.test (Web API), and
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks (plain text bodies).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watcher.core.errors import DeliveryError, FailureReason

_INVITE = "invite the bot into it with /invite @its-name"
_TOKEN = "make a new token: install the app in the workspace again"  # noqa: S105 - advice, not a token
_HOOK = "make a new incoming webhook in the app's settings and put its address into the configuration"
_OURS = "Slack does not take what the watcher made: please report it"
_ADMIN = "ask an administrator of the workspace"
_LATER = "it is tried again"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a word means: why it fails, whether trying again is no use, and what to do."""

    reason: FailureReason
    permanent: bool
    advice: str


def _channel(advice: str) -> Meaning:
    return Meaning(FailureReason.CLIENT_ERROR, permanent=True, advice=advice)


def _auth(advice: str) -> Meaning:
    return Meaning(FailureReason.AUTH_ERROR, permanent=True, advice=advice)


def _later(advice: str, reason: FailureReason = FailureReason.SERVER_ERROR) -> Meaning:
    return Meaning(reason, permanent=False, advice=f"{advice}; {_LATER}")


_TOO_FAST = _later("too many messages in a short time", FailureReason.RATE_LIMITED)
_MALFORMED = _channel(_OURS)

MEANINGS: Mapping[str, Meaning] = {
    # the channel
    "channel_not_found": _channel(f"there is no such channel, or it is private: check its name, or {_INVITE}"),
    "not_in_channel": _channel(f"the bot is not in the channel: {_INVITE}"),
    "is_archived": _channel("the channel is archived: unarchive it or give another one"),
    "channel_is_archived": _channel("the channel is archived: unarchive it or give another one"),
    "is_inactive": _channel("the channel is frozen, archived or deleted: give another one"),
    "restricted_action": _channel(f"the workspace does not let the bot post there: {_ADMIN}"),
    "restricted_action_read_only_channel": _channel("the channel is read-only: give another one"),
    "restricted_action_thread_only_channel": _channel("the channel takes replies only: give another one"),
    "restricted_action_non_threadable_channel": _channel("the channel takes no threads: give another one"),
    "posting_to_general_channel_denied": _channel("only administrators post to #general: give another channel"),
    "user_not_found": _channel("there is no such user: give a channel"),
    "messages_tab_disabled": _channel("the app takes no direct messages: give a channel"),
    # the token
    "not_authed": _auth("no token was sent: give bot_token"),
    "invalid_auth": _auth(f"the token is wrong, or not allowed from this address: {_TOKEN}"),
    "account_inactive": _auth(f"the token belongs to a deleted bot or workspace: {_TOKEN}"),
    "token_revoked": _auth(f"the token was revoked: {_TOKEN}"),
    "token_expired": _auth("the token has expired: give one that does not (token rotation off)"),
    "not_allowed_token_type": _auth("the token is of the wrong type: give a bot token (xoxb-…)"),
    "missing_scope": _auth("the token lacks a scope: add it to the app and install the app again"),
    "no_permission": _auth(f"the token may not do this: add the scope chat:write to the app, and {_INVITE}"),
    "access_denied": _auth(f"access is denied: {_ADMIN}"),
    "accesslimited": _auth(f"the workspace does not take requests from this network: {_ADMIN}"),
    "ekm_access_denied": _auth(f"posting is suspended: {_ADMIN}"),
    "enterprise_is_restricted": _auth(f"the organisation does not allow it: {_ADMIN}"),
    "team_access_not_granted": _auth(f"the app is not allowed in this workspace: {_ADMIN}"),
    "two_factor_setup_required": _auth(f"two-factor authentication has to be set up first: {_ADMIN}"),
    # the incoming webhook
    "invalid_token": _auth(f"the address is wrong or no longer valid: {_HOOK}"),
    "no_service": _auth(f"the webhook is disabled, removed or wrong: {_HOOK}"),
    "no_service_id": _auth(f"the webhook is wrong: {_HOOK}"),
    "no_active_hooks": _auth(f"the webhook is disabled: {_HOOK}"),
    "no_team": _auth(f"there is no such workspace: {_HOOK}"),
    "team_disabled": _auth("the workspace is no longer active"),
    "action_prohibited": _auth(f"the workspace does not let the webhook post: {_ADMIN}"),
    # the message
    "edit_window_closed": _channel("the workspace does not let messages be edited so late"),
    "cant_update_message": _channel("the message is not the bot's own"),
    "message_not_found": _channel("there is no such message: somebody deleted it"),
    "thread_not_found": _channel("there is no such thread: somebody deleted it"),
    "cannot_reply_to_message": _channel("the message takes no replies"),
    **dict.fromkeys(("invalid_payload", "invalid_json", "json_not_object", "invalid_charset"), _MALFORMED),
    **dict.fromkeys(("invalid_blocks", "invalid_blocks_format", "invalid_attachments", "no_text"), _MALFORMED),
    **dict.fromkeys(("msg_too_long", "msg_blocks_too_long", "too_many_attachments", "block_mismatch"), _MALFORMED),
    **dict.fromkeys(("invalid_arguments", "invalid_arg_name", "invalid_array_arg", "invalid_post_type"), _MALFORMED),
    **dict.fromkeys(("missing_post_type", "deprecated_endpoint", "method_deprecated"), _MALFORMED),
    # Slack itself
    "ratelimited": _TOO_FAST,
    "rate_limited": _TOO_FAST,
    "message_limit_exceeded": _later("the workspace has posted too much", FailureReason.RATE_LIMITED),
    "request_timeout": _later("the request arrived in part", FailureReason.TIMEOUT),
    "internal_error": _later("Slack has a problem"),
    "fatal_error": _later("Slack has a problem"),
    "service_unavailable": _later("Slack has a problem"),
    "rollup_error": _later("Slack has a problem"),
    "update_failed": _later("Slack has a problem"),
    "team_added_to_org": _later("the workspace is being moved to an organisation"),
    "org_login_required": _later("the workspace is being moved to an organisation"),
    "external_channel_migrating": _later("the channel is being moved"),
}

UNKNOWN = Meaning(FailureReason.OTHER, permanent=False, advice=_LATER)
"""Slack documents that any other word may come while it is unwell; a try costs little, a dead letter is not told."""

THREAD_GONE = frozenset({"thread_not_found", "message_not_found", "cannot_reply_to_message"})
"""Of a reply: there is nothing to reply to."""
UNEDITABLE = frozenset({"edit_window_closed", "cant_update_message", "block_mismatch"})
"""Of an update: the message stays as it is."""
MESSAGE_GONE = frozenset({"message_not_found"})
"""Of an update: there is no such message any more."""


class SlackError(DeliveryError):
    """Slack said no in a word of its own."""

    def __init__(
        self, said: str, *, word: str, detail: str = "", retry_after_s: float | None = None, too_large: bool = False
    ) -> None:
        meaning = MEANINGS.get(word, UNKNOWN)
        super().__init__(
            f"{said} ({meaning.advice}{detail})",
            reason=meaning.reason,
            permanent=meaning.permanent,
            retry_after_s=None if meaning.permanent else retry_after_s,
            too_large=too_large,
        )
        self.word = word


def explained(error: DeliveryError, body: str) -> DeliveryError:
    """The error with what it means, if the body of the answer is one of Slack's words."""
    word = body.strip()
    if word not in MEANINGS:
        return error
    return SlackError(str(error), word=word, retry_after_s=error.retry_after_s, too_large=error.too_large)
