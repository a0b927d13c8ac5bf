#!/bin/sh
# bin/edge-runtime of a release: finds the release it really lies in, so that a show that runs never mixes two.
release=$(dirname "$(dirname "$(readlink -f "$0")")")
PYTHONPATH=$release/lib PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONSAFEPATH PYTHONDONTWRITEBYTECODE
exec "$release/environment/bin/python" -m edge_runtime "$@"
