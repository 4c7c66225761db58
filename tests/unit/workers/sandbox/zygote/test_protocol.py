"""Messages between a trusted process and its zygote."""

import os
from collections.abc import Mapping
from typing import Any

import pytest

from workers.sandbox.zygote import protocol
from workers.sandbox.zygote.protocol import Ended, Request, Started


def test_given_a_request_when_it_is_sent_then_the_same_one_arrives() -> None:
    request = Request("package.module:body", ("/bin/true", "ä"), "/work", memory=512, cpu=1.5, file=9, niceness=5)
    assert Request.decode(request.encode()) == request


@pytest.mark.parametrize(
    "answer", [Started(5, "/sys/fs/cgroup/leaf"), Started(5, None), Ended(-9, 1.25, 2**40, {"oom_kill": 1})]
)
def test_given_an_answer_when_it_is_sent_then_the_same_one_arrives(answer: Started | Ended) -> None:
    assert protocol.decode(protocol.encode(answer)) == answer


@pytest.mark.parametrize("arguments", [{}, {"text": "ä" * 100_000}, {"a": [1, None, 0.5]}])
def test_given_arguments_when_they_are_read_from_a_file_then_they_are_the_same(
    arguments: Mapping[str, Any],
) -> None:
    descriptor = protocol.arguments_file(arguments)
    try:
        assert protocol.read_arguments(descriptor) == arguments
    finally:
        os.close(descriptor)


def test_given_arguments_that_are_no_json_then_they_are_refused() -> None:
    with pytest.raises(TypeError):
        protocol.arguments_file({"a": object()})


def test_given_a_pair_then_messages_keep_their_boundaries() -> None:
    ours, theirs = protocol.pair()
    with ours, theirs:
        ours.send(b"one")
        ours.send(b"two")
        assert [theirs.recv(100), theirs.recv(100)] == [b"one", b"two"]
