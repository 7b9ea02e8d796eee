"""The two ways to subscribe: a stream of its own (2026-07-28), or resource by resource before."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    ResourcesListChanged,
    ResourceUpdated,
    event_to_notification,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from milo_mcp.updates import LIST, Subscriber, Updates
from milo_mcp.uris import UriError, parse

Context = ServerRequestContext[Any, Any]

MOST_SUBSCRIBERS: Final = 1024
MOST_URIS: Final = 1024


class Subscriptions:
    """Answers requests that subscribe. Runs on the event loop."""

    def __init__(self, updates: Updates) -> None:
        self._updates = updates
        self._streams = 0
        self._by_connection: dict[Any, tuple[Subscriber, asyncio.Task[None]]] = {}

    async def listen(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Say what is listened to, then notify until the client is gone."""
        if ctx.request_id is None:
            raise MCPError(types.INVALID_REQUEST, "subscriptions/listen requires a request id")
        if self._streams >= MOST_SUBSCRIBERS:
            raise MCPError(types.INTERNAL_ERROR, f"{MOST_SUBSCRIBERS} clients listen already")
        request_id, asked = ctx.request_id, params.notifications
        uris = list(dict.fromkeys(asked.resource_subscriptions or ()))
        _check(uris)
        honored = types.SubscriptionFilter(
            resources_list_changed=True if asked.resources_list_changed else None,
            resource_subscriptions=uris or None,
        )
        meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: request_id}

        async def send(uri: str) -> None:
            event = ResourceUpdated(uri) if uri != LIST else ResourcesListChanged()
            await ctx.session.send_notification(
                event_to_notification(event, meta), related_request_id=request_id
            )

        subscriber = Subscriber(send)
        subscriber.uris.update(uris)
        if honored.resources_list_changed:
            subscriber.uris.add(LIST)
        self._updates.join(subscriber)  # before it is said, so that no change is lost in between
        self._streams += 1
        try:
            await ctx.session.send_notification(
                types.SubscriptionsAcknowledgedNotification(
                    params=types.SubscriptionsAcknowledgedNotificationParams(
                        notifications=honored, _meta=meta
                    )
                ),
                related_request_id=request_id,
            )
            await subscriber.send_updates()
        finally:
            self._streams -= 1
            self._updates.leave(subscriber)
        return types.SubscriptionsListenResult(_meta=meta)

    async def subscribe(
        self, ctx: Context, params: types.SubscribeRequestParams
    ) -> types.EmptyResult:
        """Notify of one more resource, until it is taken back or the connection ends."""
        uri = str(params.uri)
        _check([uri])
        self._add(ctx, uri)
        return types.EmptyResult()

    def follow_list(self, ctx: Context) -> None:
        """A client of the handshake era that has asked which resources there are hears of new ones.

        There it has no other way to say that it wants to; later ones listen.
        """
        if ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
            self._add(ctx, LIST)

    def _add(self, ctx: Context, uri: str) -> None:
        connection = ctx.session._connection  # there is no public way to the standing channel
        found = self._by_connection.get(connection)
        if found is not None and len(found[0].uris) >= MOST_URIS:
            raise _too_many(len(found[0].uris) + 1)
        if found is None:
            if len(self._by_connection) >= MOST_SUBSCRIBERS:
                raise MCPError(types.INTERNAL_ERROR, f"{MOST_SUBSCRIBERS} clients listen already")

            async def send(uri: str) -> None:
                if uri == LIST:
                    await connection.send_resource_list_changed()
                else:
                    await connection.send_resource_updated(uri)

            subscriber = Subscriber(send)
            task = asyncio.create_task(self._tell(subscriber))
            found = self._by_connection[connection] = subscriber, task
            self._updates.join(subscriber)
            connection.exit_stack.callback(self._end, connection)
        found[0].uris.add(uri)

    async def unsubscribe(
        self, ctx: Context, params: types.UnsubscribeRequestParams
    ) -> types.EmptyResult:
        """Notify of it no longer; of what was not subscribed to, neither."""
        found = self._by_connection.get(ctx.session._connection)  # as above
        if found is not None:
            self._updates.unfollow(found[0], str(params.uri))
        return types.EmptyResult()

    async def _tell(self, subscriber: Subscriber) -> None:
        try:
            await subscriber.send_updates()
        except Exception:  # the transport's: this client is gone, the others are not
            pass
        finally:
            self._updates.leave(subscriber)

    def _end(self, connection: Any) -> None:
        _, task = self._by_connection.pop(connection)
        task.cancel()


def _check(uris: list[str]) -> None:
    if len(uris) > MOST_URIS:
        raise _too_many(len(uris))
    for uri in uris:
        try:
            parse(uri)
        except UriError as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from error


def _too_many(count: int) -> MCPError:
    return MCPError(
        types.INVALID_PARAMS, f"a client can subscribe to {MOST_URIS} resources, not {count}"
    )
