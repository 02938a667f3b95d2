# docker build --target cpu -t promptcot:cpu .        docker build --target cuda -t promptcot:cuda .
# The sandbox isolates programs by user namespaces: `docker run --security-opt seccomp=unconfined ...` where the engine forbids them;
# `selfplay sandbox doctor` says what holds inside.
# Versions are those of pyproject.toml and of the base image; nothing in ENV is a secret.
# hadolint global ignore=DL3008,DL3013,DL3064
FROM python:3.11-slim-bookworm AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ git \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=passive TOKENIZERS_PARALLELISM=false
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY sandbox sandbox
COPY verifiers verifiers
COPY selfplay selfplay

FROM base AS cpu
RUN pip install --extra-index-url https://download.pytorch.org/whl/cpu ".[serve]" \
    && useradd --create-home --uid 1000 runner
# By its number, which a cluster that refuses root can check.
USER 1000
WORKDIR /home/runner
ENTRYPOINT ["selfplay"]
CMD ["--help"]

# Torch's wheels bring CUDA's libraries; the machine brings the driver, by `docker run --gpus all`.
FROM base AS cuda
RUN pip install ".[serve,vllm]" \
    && useradd --create-home --uid 1000 runner
USER 1000
WORKDIR /home/runner
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENTRYPOINT ["selfplay"]
CMD ["--help"]
