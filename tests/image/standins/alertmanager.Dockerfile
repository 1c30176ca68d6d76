# Stands in for prom/alertmanager.
FROM python:3.11-slim
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus-alertmanager wget > /dev/null \
 && rm -rf /var/lib/apt/lists/* && install -d -o nobody -g nogroup /alertmanager
USER nobody
VOLUME /alertmanager
ENTRYPOINT ["/usr/bin/prometheus-alertmanager"]
