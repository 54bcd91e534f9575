# syntax=docker/dockerfile:1
# Image of the hub and of the simulator.  No PostgreSQL and no broker in it: those are services of their own.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv --without-pip /opt/ctg

# Libraries first: they change less often than the code.  Exact versions with hashes.
COPY deploy/requirements.txt ./
RUN pip --python /opt/ctg/bin/python install --no-deps --only-binary :all: --require-hashes -r requirements.txt

COPY pyproject.toml README.md LICENSE ./
COPY hub ./hub
COPY viewer ./viewer
COPY device_sim ./device_sim
COPY site_agent ./site_agent
RUN pip wheel --no-deps --wheel-dir /dist . \
    && pip --python /opt/ctg/bin/python install --no-deps --no-index /dist/ctg_hub-*.whl \
    && pip --python /opt/ctg/bin/python check


FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 ctg && useradd --system --uid 10001 --gid ctg --no-create-home --shell /usr/sbin/nologin ctg
COPY --from=build /opt/ctg /opt/ctg
COPY deploy/healthcheck.py /opt/ctg/healthcheck.py
# Inside the container the page has to listen on every address; what is published decides compose.
ENV PATH=/opt/ctg/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CTG_HTTP_HOST=0.0.0.0 CTG_HTTP_PORT=8000
# The alert journal; a volume takes over this owner.
RUN install -d -o 10001 -g 10001 /var/lib/ctg-hub
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 CMD ["python", "/opt/ctg/healthcheck.py"]
CMD ["ctg-hub", "serve"]
