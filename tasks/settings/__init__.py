"""Every BULKHEAD_* variable: typed, documented, in one place.

A value comes from the environment, else from the file `bulkhead.env` in BULKHEAD_VAR that `bulkhead up` writes for its
private platform, else from the default below. So a laptop needs no setting and a plant sets two URLs.
"""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tasks.settings.types import (
    BROKER_SCHEMES,
    DATABASE_SCHEMES,
    FRAME_ANCESTOR,
    JSON_EXAMPLES,
    KAFKA_URL,
    MIN_TOKEN_LENGTH,
    RetryDelay,
    Tenant,
    is_webhook_secret,
    parse_json,
)

DEFAULT_VAR = Path("var")
ENVIRONMENT_FILE = "bulkhead.env"

MIB = 1024 * 1024


class Settings(BaseSettings):
    """The platform's settings. Units are bytes and seconds. Raises pydantic.ValidationError on a bad value."""

    model_config = SettingsConfigDict(
        env_prefix="BULKHEAD_",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # a value may be a secret
    )

    # Services
    broker_url: SecretStr = Field(
        SecretStr("amqp://guest:guest@127.0.0.1:5672//"),
        description="RabbitMQ, as an AMQP URL. Several brokers of a cluster are separated by semicolons.",
    )
    ledger_url: SecretStr = Field(
        SecretStr(f"sqlite:///{DEFAULT_VAR}/ledger.db"),
        description="The ledger: `sqlite:///path` or `mysql+pymysql://user:password@host/database` for MariaDB.",
    )
    store_url: str = Field(
        f"{DEFAULT_VAR}/store",
        description="Where sources and outputs lie: a directory, or `s3://bucket/prefix` (extra `bulkhead[s3]`).",
    )
    redis_url: SecretStr | None = Field(None, description="Redis for live sensor readings. Unset: no readings.")

    # Heartbeats
    stream_url: SecretStr = Field(
        SecretStr(""),
        description="RabbitMQ's stream protocol for heartbeats, `rabbitmq-stream://user:password@host:5552/`. Unset: "
        "they are read by AMQP, at about a quarter of the rate.",
    )
    heartbeats_source: SecretStr = Field(
        SecretStr(""),
        description="Where heartbeats are read, if not from RabbitMQ: a topic of Kafka, "
        "`kafka://host:9092,host:9092/topic?security.protocol=SASL_SSL&sasl.username=…`, with settings of librdkafka "
        "(extra `bulkhead[kafka]`).",
    )
    heartbeats_database_urls: SecretStr = Field(
        SecretStr(""),
        description="Where machines are kept: MariaDB nodes in the order in which they are tried, separated by spaces; "
        "only one is written to. Unset: the ledger's database.",
    )
    heartbeats_window: float = Field(
        60, gt=0, le=3600, description="Seconds of heartbeats that are written as one transaction."
    )
    max_clock_skew: float = Field(
        300, ge=0, description="Seconds by which a machine's clock may be ahead; a beat beyond is left out."
    )
    heartbeats_lease: float = Field(
        30, ge=1, description="Seconds after which a stand-by takes over from a coalescer that is dead."
    )
    heartbeats_metrics_port: int = Field(
        0, ge=0, le=65535, description="Port at which the coalescer shows its metrics to Prometheus. 0: nowhere."
    )
    machines_per_plant: int = Field(
        10_000, ge=1, description="Machines that a plant may have; beats of others are left out."
    )
    machine_cache_size: int = Field(
        200_000, ge=1, description="Machines that the coalescer remembers, a kilobyte each; others it looks up."
    )
    plant_tokens: Annotated[dict[str, Tenant], NoDecode] = Field(
        default_factory=dict,
        description='Bearer tokens for heartbeats and sensors, and the plant of each, as JSON: `{"token": "plant"}`. '
        "Unset: only loopback is served, for any plant.",
        repr=False,
    )
    sensors_ttl: int = Field(86_400, ge=1, description="Seconds for which the readings of a silent machine are shown.")
    heartbeat_interval: float = Field(1, gt=0, description="Seconds between two beats of a machine, when all is well.")
    stale_after: float = Field(5, gt=0, description="Intervals of silence after which a machine is `stale`.")
    lost_after: float = Field(60, gt=0, description="Intervals of silence after which a machine is `lost`.")

    # Identity
    secret: SecretStr = Field(
        SecretStr(""),
        description="Keys the names of artifacts, so that nobody can guess them. `bulkhead up` makes a random one. "
        "The same on every host.",
    )
    tokens: Annotated[dict[str, Tenant], NoDecode] = Field(
        default_factory=dict,
        description='Bearer tokens and the tenant of each, as JSON: `{"token": "tenant"}`. Unset: only loopback is '
        "served, as the tenant `local`.",
        repr=False,
    )

    signed_link_ttl: int = Field(
        3600,
        ge=0,
        le=30 * 86_400,
        description="Seconds for which links to outputs open without a token, and up to twice as long. They are signed "
        "where BULKHEAD_TOKENS and BULKHEAD_SECRET are set. 0: they are not, and every output needs the token.",
    )
    viewer_frame_ancestors: str = Field(
        "'none'",
        pattern=rf"^('none'|{FRAME_ANCESTOR}( {FRAME_ANCESTOR})*)$",
        description="Whose pages may show the viewer at `/viewer/` inside them: `'self'`, `https://portal.example.com` "
        "or several, separated by a space.",
    )

    # HTTP
    host: str = Field("127.0.0.1", description="Address the HTTP intake listens on.")
    port: int = Field(8080, ge=1, le=65535, description="Port of the HTTP intake.")
    web_processes: int = Field(
        4,
        ge=1,
        le=64,
        description="Processes of the HTTP intake, which share its port: two for each core that it shall use, so that "
        "who looks on and who sends a drawing meet in one of them less often.",
    )
    upload_limit: int = Field(512 * MIB, gt=0, description="Largest blueprint taken, in bytes.")
    output_rate: int = Field(
        8 * MIB,
        gt=0,
        description="Bytes a second at which an output of more than 4 MiB goes out, its first MiB excepted.",
    )
    publish_timeout: float = Field(
        1.0, gt=0, le=60, description="Seconds the broker has to confirm a message before the client is told 503."
    )
    queue_limit: int = Field(
        10_000, gt=0, description="Waiting renders of a lane at which the intake answers 429 instead of taking more."
    )
    store_min_free: int = Field(
        1024 * MIB,
        ge=0,
        description="Free bytes of the store's disk that are kept for renders under way: below them the intake answers "
        "507 instead of taking more.",
    )
    tenant_quota: int | None = Field(
        None,
        ge=1,
        description="Waiting and running renders of one tenant at which it is answered 429. Unset: no quota.",
    )
    tenant_max_queued: int | None = Field(
        None,
        ge=1,
        description="Renders of one tenant that may wait in a lane's queue. More are accepted, but wait in the ledger "
        "until maintenance lets them in, each tenant in turn. Unset: all go into the queue at once.",
    )

    # Work
    memory_limit: int = Field(
        512 * MIB, ge=128 * MIB, description="Memory one render may take: MemoryMax of the worker's cgroup, in bytes."
    )
    large_memory_limit: int | None = Field(
        None,
        ge=128 * MIB,
        description="Memory one render of the queue `render.large` may take: MemoryMax of its workers' cgroup, in "
        "bytes. What needs more than BULKHEAD_MEMORY_LIMIT goes there. Unset: it is refused.",
    )
    render_time_limit: int = Field(300, ge=1, le=1500, description="Seconds after which a render is killed.")
    max_crashes: int = Field(3, ge=1, le=10, description="Deaths of its own making after which a job is dead (poison).")
    lease_seconds: float = Field(
        30, ge=1, description="How long a claim on a job holds unless its worker renews it (it does, thrice a lease)."
    )
    max_jobs_per_child: int = Field(50, ge=1, description="Jobs after which a worker child is replaced.")
    max_child_age: float = Field(
        3600, gt=0, description="Age in seconds at which a worker child is replaced, between two jobs."
    )
    max_child_memory_growth: int = Field(
        64 * MIB,
        ge=16 * MIB,
        description="Bytes of live memory that a worker child may have gained when a job is over: beyond that it leaks "
        "and is replaced. Warmed-up libraries take up to 40 MiB of it.",
    )
    leak_sample_every: int = Field(
        100,
        ge=0,
        description="While a kind of drawing is suspected to leak, one render in so many of it runs under memray, if "
        "that is installed (extra `bulkhead[leaks]`); the report lands in the store below `leaks/`. 0: none.",
    )
    child_niceness: int = Field(
        19, ge=0, le=19, description="Niceness of a rendering child, so that intake and broker stay quick beside it."
    )

    # Ticket keys
    tickets_interval: float = Field(
        3600,
        gt=0,
        description="Seconds between two rotations of TLS ticket keys: at least BULKHEAD_TICKETS_LIFETIME. A key lives "
        "for three of them; 600 is recommended.",
    )
    tickets_lifetime: float = Field(
        300,
        ge=0,
        description="Seconds for which a ticket is good: HAProxy's `tune.ssl.lifetime`. No key comes sooner after the "
        "last one, unless forced.",
    )
    tickets_ssh_config: Path | None = Field(
        None, description="File of ssh_config(5) by which nodes are reached. Unset: ssh's own."
    )
    tickets_timeout: float = Field(5, gt=0, le=60, description="Seconds for which a node is waited for.")
    tickets_ssh_persist: int = Field(
        7200, ge=0, description="Seconds for which an SSH connection stays open without use. 0: it ends with each run."
    )
    tickets_lease: float = Field(
        60, ge=1, description="Seconds after which another host may rotate, should the one that does have died."
    )
    tickets_watch_interval: float = Field(
        2, gt=0, description="Seconds between two looks of `bulkhead tickets watch` at the nodes."
    )
    tickets_metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port on loopback at which `bulkhead tickets watch` shows its metrics to Prometheus. 0: nowhere.",
    )

    # Webhooks
    webhook_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts that webhooks may go to, separated by spaces; `*.example.com` is all below it. Unset: none.",
    )
    webhook_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        (),
        description="Networks that are not public and that webhooks may go to all the same, such as `10.1.2.0/24`, "
        "separated by spaces. Only there http is taken for https.",
    )
    webhook_secrets: Annotated[dict[Tenant, str], NoDecode] = Field(
        default_factory=dict,
        description='Secrets that sign the webhooks of each tenant, as JSON: `{"tenant": "whsec_…"}`, made with '
        "`echo whsec_$(openssl rand -base64 32)`. While a receiver changes to another one: both, the new one first, "
        "separated by a space.",
        repr=False,
    )
    webhook_retry_delays: Annotated[tuple[RetryDelay, ...], NoDecode] = Field(
        (5, 30, 120, 600, 3600, 14_400, 43_200),
        description="Seconds between the tries of a webhook that nobody takes, separated by spaces. After the last one "
        "it goes to the dead letters.",
    )
    webhook_timeout: float = Field(10, gt=0, le=60, description="Seconds that a receiver has to answer a webhook.")

    # Maintenance
    maintenance_interval: float = Field(5, gt=0, description="Seconds between two sweeps of the ledger.")
    republish_after: float = Field(
        60, gt=0, description="Seconds after which a job that nobody picked up is published again."
    )

    retain_jobs_days: float | None = Field(
        None,
        gt=0,
        description="Days after which a settled job is forgotten with its source and outputs. Unset: never.",
    )
    retain_outputs_days: float | None = Field(
        None, gt=0, description="Days after which outputs are removed; the job stays in the list. Unset: with the job."
    )
    retain_sources_days: float | None = Field(
        None,
        gt=0,
        description="Days after which the drawing of a settled job is removed: the job can then not be replayed any "
        "more. Unset: with the job.",
    )

    presets: Annotated[dict[str, dict[str, bool | int | str]], NoDecode] = Field(
        default={}, description='Named render options, as JSON: `{"poster": {"width": 8192, "background": "dark"}}`.'
    )
    dwg_converter: str = Field(
        "",
        description="Program that turns DWG into DXF, with {source} and {target}: `dwg2dxf -y -o {target} {source}`. "
        "It runs inside the fence, without a shell. Unset: DWG is refused.",
    )

    # Seeing what happens
    log_format: Literal["text", "json"] = Field(
        "text", description="Log lines for people, or one JSON object a line with job, attempt and trace."
    )
    otlp_url: str = Field(
        "",
        description="OpenTelemetry collector that gets the spans of requests and attempts, by OTLP over HTTP: "
        "`http://127.0.0.1:4318` (extra `bulkhead[otel]`). Unset: none are made.",
    )

    var: Path = Field(DEFAULT_VAR, description="Directory of run-time files: death notes, the private platform's data.")

    @field_validator(*JSON_EXAMPLES, mode="before")
    @classmethod
    def parse_json_objects(cls, value: object, info: ValidationInfo) -> object:
        """Read the variable here, so that the error says what to write."""
        return parse_json(value, JSON_EXAMPLES[info.field_name or ""])

    @field_validator("webhook_secrets")
    @classmethod
    def check_webhook_secrets(cls, secrets: dict[str, str]) -> dict[str, str]:
        """Refuse what is none, or shorter than the specification wants."""
        if not all(is_webhook_secret(each) for some in secrets.values() for each in some.split() or [""]):
            raise ValueError("a secret is whsec_ and Base64: make one with `echo whsec_$(openssl rand -base64 32)`")
        return secrets

    @field_validator("broker_url")
    @classmethod
    def check_broker_url(cls, urls: SecretStr) -> SecretStr:
        """Refuse what every command would fail at, each in its own words."""
        if not all(url.startswith(BROKER_SCHEMES) for url in urls.get_secret_value().split(";")):
            raise ValueError("write it as amqp://user:password@host:5672//, or amqps://…")
        return urls

    @field_validator("ledger_url", "heartbeats_database_urls")
    @classmethod
    def check_database_urls(cls, urls: SecretStr, info: ValidationInfo) -> SecretStr:
        """The same for databases. A path of SQLite may hold spaces."""
        text = urls.get_secret_value()
        if not all(
            url.startswith(DATABASE_SCHEMES) for url in ([text] if info.field_name == "ledger_url" else text.split())
        ):
            raise ValueError("write it as sqlite:///path or mysql+pymysql://user:password@host/database")
        return urls

    @field_validator("heartbeats_source")
    @classmethod
    def check_heartbeats_source(cls, source: SecretStr) -> SecretStr:
        """Refuse what is no address of a topic."""
        if source.get_secret_value() and not KAFKA_URL.fullmatch(source.get_secret_value()):
            raise ValueError("write it as kafka://host:port,host:port/topic, the topic of at most 57 characters")
        return source

    @field_validator("webhook_hosts", "webhook_networks", "webhook_retry_delays", mode="before")
    @classmethod
    def split_lists(cls, words: object) -> object:
        """Read the variable here; its words are checked as usual."""
        return words.split() if isinstance(words, str) else words

    @field_validator("large_memory_limit")
    @classmethod
    def check_large_memory_limit(cls, large: int | None, info: ValidationInfo) -> int | None:
        """Refuse a large lane that holds no more than the others."""
        if large is not None and large <= info.data.get("memory_limit", 0):
            raise ValueError("it must be more than BULKHEAD_MEMORY_LIMIT")
        return large

    @field_validator("tokens", "plant_tokens")
    @classmethod
    def check_token_length(cls, tokens: dict[str, str]) -> dict[str, str]:
        """Refuse tokens that could be guessed."""
        if any(len(token) < MIN_TOKEN_LENGTH for token in tokens):
            raise ValueError(
                f"a token has fewer than {MIN_TOKEN_LENGTH} characters; make one with `openssl rand -hex 24`"
            )
        return tokens

    def heartbeats_database_nodes(self) -> list[str]:
        """URLs of the databases that may hold the machines, the first one first."""
        return self.heartbeats_database_urls.get_secret_value().split() or [self.ledger_url.get_secret_value()]


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    var = Path(os.environ.get("BULKHEAD_VAR") or DEFAULT_VAR)
    return Settings(_env_file=var / ENVIRONMENT_FILE)
