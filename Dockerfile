# The page to speak into, on CPUs:
#   docker build -t speechkit . && docker run --rm -p 8000:8000 speechkit
# With a GPU: docker build --build-arg TORCH_BACKEND=cu130, docker run --gpus all.
FROM python:3.12-slim
# Whose builds of PyTorch uv installs; cpu has no CUDA libraries.
ARG TORCH_BACKEND=cpu
WORKDIR /speechkit
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE.txt ./
COPY speechkit speechkit
RUN python -m pip install --no-cache-dir uv
RUN uv pip install --no-cache --python "$(command -v python)" ${TORCH_BACKEND:+--torch-backend=$TORCH_BACKEND} -c constraints.txt ".[serve]"
RUN speechkit doctor -C /tmp
# Nothing needs root; what is cached (fonts of figures) lies with the container.
ENV HOME=/tmp
USER 1000
WORKDIR /tmp
EXPOSE 8000
CMD ["speechkit", "serve", "--host", "0.0.0.0"]
