"""The settings of connections: where Kafka and Redis are, how they let us in, and secrets out of files."""

import os
from pathlib import Path
from typing import Any, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

ENV_PREFIX = "STOREPULSE_"
MAX_SECRET_BYTES = 64 * 1024


class SecretFileError(ValueError):
    """A file that a secret is to be read from cannot be used; the message holds no value of it."""


class ConnectionSettings(BaseSettings):
    """Where the services are. Every secret may also be in a file, which the variable with `_FILE` names."""

    # An error must not repeat a value: it may be a secret.
    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    bootstrap: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, HOST:PORT[,HOST:PORT]")
    kafka_api: str = Field(
        "",
        description="Kafka protocol version to assume, such as 2.3; empty: ask the broker",
        pattern=r"^(\d+\.\d+)?$",
    )
    kafka_security: str = Field(
        "",
        description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; empty: SASL_SSL with a user name, SSL with a"
        " CA or certificate, else PLAINTEXT",
        pattern=r"^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)?$",
    )
    kafka_mechanism: str = Field(
        "PLAIN",
        description="SASL mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
        pattern=r"^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$",
    )
    kafka_username: str = Field("", description="Kafka user name, with SASL")
    kafka_password: SecretStr | None = Field(None, description="Kafka password, with SASL")
    kafka_ca: str = Field(
        "", description="PEM file of the CA of Kafka's certificate; empty: the system's CAs"
    )
    kafka_certificate: str = Field(
        "", description="PEM file of the client certificate, if Kafka requires one"
    )
    kafka_key: str = Field("", description="PEM file of its key, if not in the same file")
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0", description="Redis URL without user and password; rediss:// is TLS"
    )
    redis_username: str = Field("", description="Redis user (ACL); empty: the default user")
    redis_password: SecretStr | None = Field(None, description="Redis password")
    redis_ca: str = Field("", description="PEM file of the CA of Redis' certificate; empty: the system's CAs")
    redis_certificate: str = Field(
        "", description="PEM file of the client certificate, if Redis requires one"
    )
    redis_key: str = Field("", description="PEM file of its key, if not in the same file")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code, else the environment, else the files it names."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, SecretFiles(settings_cls)

    @property
    def kafka_api_version(self) -> tuple[int, int] | None:
        """`kafka_api` as kafka-python's `api_version` takes it; None lets the client ask the broker.

        The embedded broker needs `(2, 3)`: kafka-python cannot read its answer to newer version requests.
        """
        if not self.kafka_api:
            return None
        major, minor = self.kafka_api.split(".")
        return int(major), int(minor)

    @property
    def kafka_protocol(self) -> str:
        """`kafka_security`, or what the other settings mean where it is empty."""
        if self.kafka_security:
            return self.kafka_security
        if self.kafka_username:
            return "SASL_SSL"
        return "SSL" if self.kafka_ca or self.kafka_certificate else "PLAINTEXT"

    @property
    def has_redis_password(self) -> bool:
        """Whether Redis is told a password."""
        return self.redis_password is not None

    @field_validator("kafka_security", "kafka_mechanism", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.strip().upper() if isinstance(value, str) else value

    @field_validator("kafka_password", "redis_password", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("redis_url")
    @classmethod
    def _url_without_secrets(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError("redis_url must begin with redis:// or, for TLS, rediss://")
        if "@" in parts.netloc or "password=" in parts.query:
            raise ValueError(
                "redis_url must not contain a user or a password, because logs show it: set "
                "STOREPULSE_REDIS_USERNAME,"
                " and STOREPULSE_REDIS_PASSWORD or the file that STOREPULSE_REDIS_PASSWORD_FILE names"
            )
        return value

    @field_validator(
        "kafka_ca", "kafka_certificate", "kafka_key", "redis_ca", "redis_certificate", "redis_key"
    )
    @classmethod
    def _is_a_file(cls, value: str) -> str:
        if value and not Path(value).is_file():
            raise ValueError("there is no such file, or it is not readable")
        return value

    @model_validator(mode="after")
    def _complete_connections(self) -> Self:
        if self.kafka_protocol.startswith("SASL") and not (self.kafka_username and self.kafka_password):
            raise ValueError(
                f"{self.kafka_protocol} needs STOREPULSE_KAFKA_USERNAME and STOREPULSE_KAFKA_PASSWORD or"
                " STOREPULSE_KAFKA_PASSWORD_FILE"
            )
        for service in ("kafka", "redis"):
            if getattr(self, f"{service}_key") and not getattr(self, f"{service}_certificate"):
                raise ValueError(f"{service}_key needs {service}_certificate")
        return self


class SecretFiles(PydanticBaseSettingsSource):
    """Secrets out of files, as container platforms mount them; a line end at the end is no part of one."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """See the base class; `value` is None where no file is named."""
        variable = f"{ENV_PREFIX}{field_name.upper()}"
        path = os.environ.get(f"{variable}_FILE")
        if not path or not is_secret(field):
            return None, field_name, False
        if os.environ.get(variable):
            raise SecretFileError(f"set {variable} or {variable}_FILE, not both")
        return _read_secret(f"{variable}_FILE", Path(path)), field_name, False

    def __call__(self) -> dict[str, Any]:
        """The secrets that files hold, by the names of their fields."""
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value, _, _ = self.get_field_value(field, name)
            if value is not None:
                found[name] = value
        return found


def is_secret(field: FieldInfo) -> bool:
    """Whether a field of settings holds a secret."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _read_secret(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_SECRET_BYTES + 1)
    except OSError as exc:
        raise SecretFileError(f"the file that {variable} names cannot be read: {exc.strerror}") from None
    try:
        text = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SecretFileError(f"the file that {variable} names must be UTF-8 text") from None
    if not text or len(raw) > MAX_SECRET_BYTES or "\n" in text:
        raise SecretFileError(f"the file that {variable} names must contain the secret and nothing else")
    return text
