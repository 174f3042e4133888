# lmeec with all that workers on a cluster need: several workers, metrics, object stores. The recipe kuberay-job uses it.
#
#   docker build --tag registry.example.com/lmeec:0.1.0 .                          # for NVIDIA's GPUs
#   docker build --build-arg DEVICE=cpu --tag registry.example.com/lmeec:0.1.0-cpu .
#
# Versions of Python's packages are those of docker/requirements.txt, and none else. lmeec's own layer comes last and is
# small; those below it change only with the versions.
ARG PYTHON=3.11.13-slim-bookworm
ARG DEVICE=cuda

FROM python:${PYTHON} AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0
WORKDIR /build
# KubeRay asks with wget whether Ray is well.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends wget=1.21.3-* \
    && rm -rf /var/lib/apt/lists/*
COPY docker/requirements.txt ./

# Without CUDA's libraries, which are some gigabytes. What else it needs is among the requirements.
FROM base AS torch-cpu
RUN pip install --no-cache-dir --no-deps --index-url https://download.pytorch.org/whl/cpu \
    torch==2.13.0 torchvision==0.28.0

# With them; the machine needs NVIDIA's driver alone.
FROM base AS torch-cuda
RUN pip install --no-cache-dir --constraint requirements.txt torch==2.13.0 torchvision==0.28.0

# hadolint ignore=DL3006
FROM torch-${DEVICE}
WORKDIR /build
# sam2 is built from source against the torch that is there, without kernels that nothing here uses.
RUN pip install --no-cache-dir setuptools==84.2.1 wheel==0.48.0 \
    && SAM2_BUILD_CUDA=0 pip install --no-cache-dir --no-deps --no-build-isolation --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY lmeec lmeec
COPY lmeec_cli lmeec_cli
COPY recipes recipes
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
    && pip check \
    && useradd --uid 1000 --create-home lmeec
# Of Python's own prefix, as KubeRay starts Ray from a login shell, which sets the path anew.
USER 1000
WORKDIR /home/lmeec
CMD ["lmeec", "--help"]
