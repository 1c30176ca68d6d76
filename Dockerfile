# The app with its Production models; `make image` fills build/model first. docs/image.md says what is inside and why.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
# Two builds of a commit have the same files (scripts/image_content.py): bytecode and wheels carry no time of the build,
# and sets of constants in bytecode have one order.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 SOURCE_DATE_EPOCH=1577836800 PYTHONHASHSEED=0
WORKDIR /build
# What runs later gets no pip: one that stays here installs into it.
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/lockstep
COPY requirements-build.lock requirements-serve.lock ./
RUN tools/bin/python -m pip install --quiet --require-hashes -r requirements-build.lock \
 && tools/bin/python -m pip --python /opt/lockstep/bin/python install --quiet --no-compile --no-deps \
        --only-binary :all: --require-hashes -r requirements-serve.lock
COPY scripts/slim_image.py ./
RUN tools/bin/python slim_image.py /opt/lockstep
# <library
COPY setup.py pyproject.toml ./
COPY src/lockstep src/lockstep
COPY flask_app flask_app
RUN tools/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels . \
 && tools/bin/python -m pip --python /opt/lockstep/bin/python install --quiet --no-compile --no-deps wheels/*.whl
# library>
# project: COPY requirements-lockstep.txt ./
# project: COPY wheels wheels
# project: RUN tools/bin/python -m pip --python /opt/lockstep/bin/python install --quiet --no-compile --no-deps --no-index \
# project:         --find-links wheels --require-hashes -r requirements-lockstep.txt
RUN /opt/lockstep/bin/python -m compileall -q --invalidation-mode unchecked-hash \
        /opt/lockstep/lib/python3*/site-packages/lockstep /opt/lockstep/lib/python3*/site-packages/lockstep_app
# Check each model as a server would, and leave its compiled form beside it. The server finds the names of the models in
# params.yaml and usecases/, as in a project.
WORKDIR /build/app
COPY params.yaml ./
COPY build/model model
RUN mkdir -p .lockstep model/usecases && mv model/features .lockstep/features && ln -s model/usecases usecases \
 && /opt/lockstep/bin/python -m lockstep.lifecycle.export model && find model -name '*.lock' -delete

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/lockstep /opt/lockstep
ENV PATH=/opt/lockstep/bin:${PATH} \
    HOME=/tmp \
    HOST=0.0.0.0 \
    PORT=5000 \
    LOCKSTEP_STATE=/var/lib/lockstep \
    LOCKSTEP_BAKED_MODEL=/app/model
# Without pip and Python 2's grammars, which are pickles; with bytecode of those parts of Python that a server imports,
# which the official image leaves out.
RUN rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip /usr/local/lib/python3*/lib2to3 \
        /usr/local/bin/pip* /usr/lib/python3/dist-packages/pip* /usr/lib/python3/dist-packages/setuptools* \
        /usr/lib/python3/dist-packages/wheel* /usr/lib/python3*/ensurepip /usr/lib/python3*/lib2to3 /usr/bin/pip* \
        /usr/share/python-wheels \
 && echo 'lockstep:x:10001:10001::/tmp:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'lockstep:x:10001:' >> /etc/group \
 && install -d -o 10001 -g 10001 /var/lib/lockstep \
 && python -c 'import lockstep_app.wsgi, granian.server.mp, lockstep.registry.sidecar, lockstep.server.recorder, mlflow, pandas' \
 && python -c 'import lockstep.scoring.compiler, scipy.stats, sklearn.pipeline, skops.io, sqlite3, urllib.request'
ENV PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# project: COPY flask_app flask_app
COPY --from=build /build/app ./
ARG REVISION=unknown
ARG VERSION=unknown
ARG MODEL_VERSION=unknown
ARG MODEL_SHA256=unknown
ARG MODEL_COMMIT=unknown
ARG DVC_LOCK=unknown
ARG DATA_SHA256=unknown
LABEL org.opencontainers.image.title="lockstep" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}" \
      lockstep.model.version="${MODEL_VERSION}" \
      lockstep.model.sha256="${MODEL_SHA256}" \
      lockstep.model.git-commit="${MODEL_COMMIT}" \
      lockstep.model.dvc-lock="${DVC_LOCK}" \
      lockstep.model.data-sha256="${DATA_SHA256}"
USER 10001:10001
VOLUME ["/var/lib/lockstep", "/tmp"]
EXPOSE 5000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s CMD ["python", "-c", "\
import http.client, os; \
own = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); \
own.request('GET', '/livez'); \
raise SystemExit(own.getresponse().status != 200)"]
ENTRYPOINT ["lockstep"]
CMD ["serve"]
