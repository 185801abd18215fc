"""Updates sent to a subscriber over TCP, with every socket closed."""

import socket

import pytest

from inventory.exchange import encode_update, parse_update
from leaky.test_feed import UPDATES, test_feed_ends_with_the_server, test_nonsense_is_refused  # noqa: F401


@pytest.mark.parametrize("sku,quantity", UPDATES)
def test_update_arrives(sku, quantity):
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as subscriber, server.accept()[0] as feed:
            feed.sendall(encode_update(sku, quantity))
            assert parse_update(subscriber.recv(64)) == (sku, quantity)
