#!/bin/sh
# Resolve the lock files anew from setup.cfg, with hashes and without naming where packages come from.
# usage: lock.sh BIN  (the bin folder of a virtual environment)
set -eu
bin=$1
"$bin/python" -m pip install --quiet --disable-pip-version-check 'pip-tools>=7.4'
compile() {
    output=$1
    shift
    PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS='' PIP_EXTRA_INDEX_URL='' "$bin/pip-compile" --quiet --generate-hashes --allow-unsafe \
        --strip-extras --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
        "$@" --output-file "$output" setup.cfg requirements/build.in
}
compile requirements/run.lock --extra console --extra notify --extra backup --extra integrity --extra sensor
compile requirements/test.lock --extra console --extra notify --extra backup --extra integrity --extra yara --extra sensor --extra test
