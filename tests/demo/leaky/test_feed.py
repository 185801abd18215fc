"""Updates sent to a subscriber over TCP."""

import socket

import pytest

from inventory.exchange import encode_update, parse_update

UPDATES = [("A001", 5), ("A002", -5), ("A050", 120), ("A119", -1), ("A000", 0)]

_subscriptions = []


@pytest.mark.parametrize("sku,quantity", UPDATES)
def test_update_arrives(sku, quantity):
    server = socket.create_server(("127.0.0.1", 0))  # left open
    subscriber, (feed, _) = socket.create_connection(server.getsockname()), server.accept()  # left open
    _subscriptions.append((server, feed, subscriber))
    feed.sendall(encode_update(sku, quantity))
    assert parse_update(subscriber.recv(64)) == (sku, quantity)


def test_feed_ends_with_the_server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as subscriber:
            feed, _ = server.accept()
            feed.close()
            assert subscriber.recv(64) == b""


@pytest.mark.parametrize("line", [b"", b"A001\n", b"A001 many\n", b"A001 1 2\n"])
def test_nonsense_is_refused(line):
    with pytest.raises(ValueError):
        parse_update(line)
