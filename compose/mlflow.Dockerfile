# MLflow server in the pipeline's locked version, with drivers for PostgreSQL and S3. psycopg2: with psycopg 3
# MLflow cannot move a version between stages (it compares a number with a string).
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/mlflow
COPY requirements-mlflow.lock ./
RUN tools/bin/python -m pip --python /opt/mlflow/bin/python install --quiet --compile --no-deps --only-binary :all: \
        --require-hashes -r requirements-mlflow.lock

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/mlflow /opt/mlflow
ENV PATH=/opt/mlflow/bin:${PATH} HOME=/tmp PYTHONDONTWRITEBYTECODE=1 MLFLOW_DISABLE_TELEMETRY=true
RUN echo 'mlflow:x:10001:10001::/tmp:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'mlflow:x:10001:' >> /etc/group \
 && install -d -o 10001 -g 10001 /var/lib/mlflow
USER 10001:10001
VOLUME /var/lib/mlflow
EXPOSE 5000
ENTRYPOINT ["mlflow"]
CMD ["server", "--host", "0.0.0.0"]
