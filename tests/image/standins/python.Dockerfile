# python:3.11-slim with what pip needs on a machine with a certificate authority or an index of its own.
FROM python:3.11-slim
COPY ca.crt /etc/ssl/certs/ca-certificates.crt
COPY pip.conf /etc/pip.conf
