"""The peer of the API: FastAPI routes that only produce to Kafka, or only get one key of Redis."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request, Response
from redis.asyncio import Redis

from contracts.settings import Settings
from contracts.topics import Topics


def make_app(settings: Settings) -> FastAPI:
    """`POST /events` (an array) and `GET /value/{key}`."""
    topic = Topics(settings.topic_prefix).events[0]
    redis = Redis.from_url(settings.redis_url)
    made: list[AIOKafkaProducer] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        producer = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap, acks="all", enable_idempotence=True, max_batch_size=262_144
        )
        await producer.start()
        made.append(producer)
        yield
        await producer.stop()
        await redis.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/events", status_code=202)
    async def post_events(request: Request) -> dict[str, int]:
        events = orjson.loads(await request.body())
        producer = made[0]
        acks = [
            await producer.send(topic, orjson.dumps(event), key=event["user_id"].encode()) for event in events
        ]
        await asyncio.gather(*acks)
        return {"accepted": len(events)}

    @app.get("/value/{key:path}")
    async def get_value(key: str) -> Response:
        value = await redis.get(key)
        return Response(value or b"", media_type="application/octet-stream")

    @app.get("/livez")
    async def get_livez() -> dict[str, str]:
        return {"status": "ok"}

    return app


if __name__ == "__main__":
    settings = Settings()
    uvicorn.run(
        make_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        loop="uvloop",
        access_log=False,
        log_level="warning",
    )
    sys.exit(0)
