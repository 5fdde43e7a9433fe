# One image for worker, API and every command: `docker build -t storepulse .`. With --build-arg EXTRAS=archive it can
# archive events and has polars (170 MB), with EXTRAS=archive,train it can train models too and has torch (5 GB).
FROM python:3.12.8-slim-bookworm AS build
ARG EXTRAS=
WORKDIR /src
# For the compiled steps of the stream.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml constraints.txt README.md ./
RUN python -m venv /opt/storepulse
ENV PATH=/opt/storepulse/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Dependencies first, so that a change of code does not install them again.
RUN for package in contracts connections sources archive models readers stream producers delivery publishing api ops; do mkdir $package && touch $package/__init__.py; done \
 && pip install -c constraints.txt ".${EXTRAS:+[$EXTRAS]}" && pip uninstall -y storepulse
COPY setup.py ./
COPY contracts contracts
COPY connections connections
COPY sources sources
COPY archive archive
COPY models models
COPY readers readers
COPY stream stream
COPY producers producers
COPY delivery delivery
COPY publishing publishing
COPY api api
COPY ops ops
# Nothing in the image runs the tests of libraries, or pip, and modules come with debugging symbols. Scipy and narwhals
# are for parts of river that are not used here, onnxruntime's tools for making models: only what trains needs them.
RUN pip install --no-deps . \
 && cd /opt/storepulse/lib/python*/site-packages \
 && case ",$EXTRAS," in *,train,*) ;; *) pip uninstall -y narwhals scipy && rm -r onnxruntime/quantization onnxruntime/tools onnxruntime/transformers ;; esac \
 && find . -type d -name tests -prune -exec rm -r {} + \
 && find aiohttp aiokafka faust frozenlist hiredis httptools models msgpack multidict propcache stream uvloop -name '*.so' -exec strip --strip-unneeded {} + \
 && rm -r pip pip-*

FROM python:3.12.8-slim-bookworm
ARG EXTRAS=
# LightGBM, which trains trees, brings no OpenMP.
RUN case ",$EXTRAS," in *,train,*) apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* ;; esac
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin storepulse \
 && mkdir /archive /models && chown storepulse /archive /models
COPY --from=build /opt/storepulse /opt/storepulse
ENV PATH=/opt/storepulse/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER storepulse
WORKDIR /home/storepulse
ENTRYPOINT ["storepulse"]
CMD ["--help"]
