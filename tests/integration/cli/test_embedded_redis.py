"""The private Redis of the embedded platform."""

import pytest
import redis

pytestmark = pytest.mark.service


def test_given_the_private_redis_when_its_url_is_used_then_it_stores_values(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.hset("sensor", "rpm", "1480")

        assert client.hgetall("sensor") == {"rpm": "1480"}


def test_given_the_private_redis_when_no_password_is_given_then_it_rejects_the_client(redis_url: str) -> None:
    host_and_port = redis_url.partition("@")[2]

    with (
        redis.Redis.from_url(f"redis://{host_and_port}") as stranger,
        pytest.raises(redis.AuthenticationError, match="authenticat"),
    ):
        stranger.ping()


def test_given_the_private_redis_then_it_listens_on_loopback_only(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
