#!/bin/sh
# Entry point of the image: `serve` as SageMaker starts it, `healthcheck`, or any other command of nlp-inference.
#   MODEL  folders or Hub ids, separated by spaces; the default is where SageMaker and the Dockerfile put a model
#   PORT   the port; Vertex AI sets AIP_HTTP_PORT
#   ALLOW_UNAUTHENTICATED=1  for SageMaker and Vertex AI, which check the caller themselves
# Other variables, such as NLP_INFERENCE_API_KEY_HASHES, are read by the server.
set -eu

port="${AIP_HTTP_PORT:-${PORT:-8080}}"

case "${1:-serve}" in
  serve)
    [ "$#" -eq 0 ] || shift
    [ -z "${ALLOW_UNAUTHENTICATED:-}" ] || set -- --allow-unauthenticated "$@"
    # shellcheck disable=SC2086 # several models
    exec nlp-inference serve ${MODEL:-/opt/ml/model} --host 0.0.0.0 --port "$port" "$@"
    ;;
  healthcheck)
    exec python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/readyz', timeout=2)"
    ;;
  *)
    exec nlp-inference "$@"
    ;;
esac
