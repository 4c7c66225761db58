"""The embedded platform: a private RabbitMQ node, a private Redis, and the supervisor that keeps everything running.

It is not needed where `BULKHEAD_BROKER_URL` names a broker. All of it runs as an ordinary user, listens on 127.0.0.1
only, and stores its data below one directory (`./var` for `bulkhead up`).
"""
