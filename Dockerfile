# gradbox with its built-in classifier, for a machine without a screen, as a user without rights:
#   docker build -t gradbox .
#   docker run --rm --user "$(id -u)" -v "$PWD:/data" gradbox locate photos --out boxes --pictures
FROM python:3.11-slim-bookworm

# Where pip also looks: PyTorch's own page names the index of its builds for the CPU alone, which
# makes the image some 4 GB smaller.
ARG PIP_EXTRA_INDEX_URL=

COPY . /src
RUN pip install --no-cache-dir -c /src/constraints.txt "/src[imagenet,onnx,tiff,heic,video]" \
    && pip install --no-cache-dir --no-deps -c /src/constraints.txt trackers==2.6.1 \
    && rm -rf /src \
    && useradd --create-home --uid 1000 gradbox

# Some libraries keep a cache below the home, which another --user does not have.
ENV HOME=/tmp MPLCONFIGDIR=/tmp
USER 1000
WORKDIR /data
ENTRYPOINT ["gradbox"]
CMD ["--help"]
