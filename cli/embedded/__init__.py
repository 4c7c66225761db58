"""The private platform: a RabbitMQ node and a Redis of our own, and the supervisor that keeps everything running.

Nothing here is needed where `BULKHEAD_BROKER_URL` names a broker. All of it runs as an ordinary user, listens on
127.0.0.1 only, and keeps its data below one directory (`./var` for `bulkhead up`).
"""
