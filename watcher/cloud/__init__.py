"""The cloud's HTTP API: ask, sign, authenticate, and turn every answer into a value or an error that says what to do.

From the bottom up: `exchange` (one request and its answer as values), `transport` (the connections), `auth` (who we
are), `caller` (an authorized exchange), `wire` (what the answers mean), `client` (the operations).
Does not decide when to ask, nor what a change means.
"""
