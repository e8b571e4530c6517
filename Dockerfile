# thalbids in a container.
#   docker build -t thalbids .
#   docker build -t thalbids:gpu --build-arg RUNTIME=gpu .      (NVIDIA; the image grows by about 3 GB)
# A site with its own package index or certificates gives pip's usual settings as build arguments
# (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_CERT); Docker itself handles HTTP_PROXY and the like.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_CERT
ARG RUNTIME=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/thalbids
ENV PATH=/opt/thalbids/bin:$PATH
WORKDIR /src
COPY requirements.lock ./
RUN pip install --no-compile -r requirements.lock
# Both packages provide the module onnxruntime, so one is removed before the other is installed.
RUN case "$RUNTIME" in \
      cpu) ;; \
      gpu) version=$(sed -n 's/^onnxruntime==//p' requirements.lock) \
           && pip uninstall -y onnxruntime \
           && pip install --no-compile "onnxruntime-gpu[cuda,cudnn]==$version" ;; \
      *) echo "RUNTIME is cpu or gpu, not $RUNTIME" >&2; exit 64 ;; \
    esac
ARG VERSION=0.2.0.dev0
ENV SETUPTOOLS_SCM_PRETEND_VERSION_FOR_THALBIDS=$VERSION
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY bids_app bids_app
RUN pip install --no-compile --no-deps .
COPY container container
RUN /opt/thalbids/bin/python container/slim.py

FROM ${BASE} AS runtime
# Installers and Perl's modules, which running Python does not need.
RUN rm -rf /usr/lib/python3/dist-packages /usr/share/python-wheels /usr/lib/python3*/ensurepip \
      /usr/local/lib/python3*/ensurepip /usr/local/lib/python3*/site-packages/* \
      /usr/share/perl /usr/share/perl5 /usr/lib/*/perl /usr/lib/*/perl5 /var/lib/apt/lists /var/cache
COPY --from=build /opt/thalbids /opt/thalbids
# Where the GPU variant's CUDA libraries are; none in the CPU variant.
RUN find /opt/thalbids -path '*/nvidia/*/lib' > /etc/ld.so.conf.d/thalbids.conf && ldconfig

# One layer, without what was removed above.
FROM scratch
COPY --from=runtime / /
ARG VERSION=0.2.0.dev0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="thalbids" \
      org.opencontainers.image.description="BIDS App that measures the thalamus in MS" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.url="https://github.com/thalbids/thalbids" \
      org.opencontainers.image.source="https://github.com/thalbids/thalbids" \
      org.opencontainers.image.documentation="https://github.com/thalbids/thalbids#readme" \
      org.opencontainers.image.vendor="the thalbids authors" \
      org.opencontainers.image.licenses="Apache-2.0 AND GPL-3.0"
# Any user id may run it: nothing outside /tmp and the output folder is written.
ENV PATH=/opt/thalbids/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONNOUSERSITE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    THALBIDS_IMAGE="thalbids:$VERSION"
USER 1000:1000
WORKDIR /tmp
HEALTHCHECK --interval=5m --timeout=10s CMD ["thalbids", "--version"]
ENTRYPOINT ["thalbids"]
