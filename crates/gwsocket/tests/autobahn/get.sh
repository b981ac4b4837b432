#!/bin/sh
# Makes Autobahn's test suite 0.8.2 in a folder: get.sh DIR, then DIR/wstest. See README.md.
#
# Needs: python3 with pip (only to fetch one wheel);
#        PyPI through pip; and, if the machine has no Python 2.7, apt-get,
#        dpkg-deb and a Debian mirror that still has bullseye.  No root;
#        gcc is used if there is one (speed only); nothing outside DIR is changed.
# Environment:
#   PYTHON2=/path/python2.7   use this interpreter (PYTHON2=deb: always Debian's)
#   DEBIAN_MIRROR=URL         default: the mirror of the system
set -eu

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
DIR=$(cd "$1" && pwd)
SITE=$DIR/site
TMP=$DIR/tmp
rm -rf "$SITE" "$TMP" "$DIR/py27" "$DIR/wstest"
mkdir -p "$SITE" "$TMP"
umask 022

# ---------------------------------------------------------------- Python 2.7
ok() { "$1" -c 'import sys, zlib, ssl, select, _socket; assert sys.version_info[:2] == (2, 7)' >/dev/null 2>&1; }

PY=
LIB=
case ${PYTHON2:-} in
deb) ;;
?*) ok "$PYTHON2" || { echo "$PYTHON2: not a usable Python 2.7" >&2; exit 1; }
    PY=$PYTHON2 ;;
*)  if ok python2.7; then PY=$(python2.7 -c 'import sys; print(sys.executable)'); fi ;;
esac

if [ -z "$PY" ]; then
    # Debian 11's python2.7, unpacked into DIR/py27 (not installed)
    A=$TMP/apt
    : "${DEBIAN_MIRROR:=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -1)}"
    mkdir -p "$A/lists/partial" "$A/cache/archives/partial" "$A/debs"
    : >"$A/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
        "$DEBIAN_MIRROR bullseye main" >"$A/sources.list"
    aptget() {
        apt-get -q -o Dir::Etc::sourcelist="$A/sources.list" -o Dir::Etc::sourceparts=- \
            -o Dir::State::lists="$A/lists" -o Dir::State::status="$A/status" \
            -o Dir::Cache="$A/cache" \
            -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false \
            -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@" >&2
    }
    aptget update
    (cd "$A/debs" && aptget download \
        python2.7-minimal libpython2.7-minimal libpython2.7-stdlib libssl1.1 libffi7 \
        $(command -v gcc >/dev/null && echo libpython2.7-dev))    # its headers, for wsaccel
    for d in "$A"/debs/*.deb; do dpkg-deb -x "$d" "$DIR/py27"; done
    PY=$DIR/py27/usr/bin/python2.7
    for l in "$DIR"/py27/usr/lib/*/libssl.so.1.1; do LIB=${l%/*}; done
    LD_LIBRARY_PATH=$LIB${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH
    ok "$PY" || { echo "Debian's python2.7 does not run from $PY" >&2; exit 1; }
    unset LD_LIBRARY_PATH
fi

# pip for Python 2.7: the last version that ran there, straight from its wheel
python3 -m pip download -q --disable-pip-version-check --no-deps -d "$TMP" pip==20.3.4
py() { PYTHONPATH=$SITE LD_LIBRARY_PATH=$LIB PYTHONNOUSERSITE=1 PYTHONWARNINGS=ignore "$PY" "$@"; }
py2pip() {
    c=$1; shift
    py "$TMP/pip-20.3.4-py2.py3-none-any.whl/pip" "$c" -q --disable-pip-version-check \
        --no-python-version-warning --no-cache-dir --no-deps "$@" 2>"$TMP/pip.err" || { cat "$TMP/pip.err" >&2; return 1; }
}

# ------------------------------------------------------------------ packages
# What the sdists' setup.py files import comes first.
py2pip install --target "$SITE" setuptools==44.0.0 incremental==16.10.1 wheel==0.37.1
# Pure wheels, and two whose C parts are optional (MarkupSafe, zope.interface).
py2pip install --target "$SITE" six==1.16.0 attrs==21.4.0 constantly==15.1.0 \
    idna==2.10 typing==3.10.0.0 hyperlink==21.0.0 Automat==22.10.0 \
    jinja2==2.11.3 MarkupSafe==1.1.1 zope.interface==4.6.0 autobahntestsuite==0.8.2
: >"$SITE/zope/__init__.py"    # its .pth file is not read on PYTHONPATH
# sdists (unpacked, not built: pure Python but for two of Twisted's extensions,
# which neither epoll nor TCP needs; so no compiler and no Python.h)
py2pip download --no-build-isolation --no-binary :all: -d "$TMP" \
    txaio==2.1.0 autobahn==0.10.9 Twisted==19.10.0
py - "$TMP" <<'E'
import glob, sys, tarfile
for p in glob.glob(sys.argv[1] + '/*.tar.*'):
    tarfile.open(p).extractall(sys.argv[1])
E
cp -R "$TMP"/txaio-2.1.0/txaio "$TMP"/autobahn-0.10.9/autobahn "$TMP"/Twisted-19.10.0/src/twisted "$SITE"/

# With a C compiler, wsaccel too: masking and UTF-8 checks in C.  Without it all
# cases work as well; the large messages of group 9 take about twice as long.
ACCEL="without wsaccel (no C compiler)"
if command -v gcc >/dev/null; then
    if CPATH=$DIR/py27/usr/include/python2.7:$DIR/py27/usr/include \
        py2pip install --no-build-isolation --target "$SITE" wsaccel==0.6.3 &&
        py -c 'from wsaccel import xormask, utf8validator'; then
        ACCEL="with wsaccel"
    else
        rm -rf "$SITE"/wsaccel*
        ACCEL="without wsaccel (it did not build)"
    fi
fi

# ------------------------------------------------------------------- changes
# ws:// only: do not ask for pyOpenSSL and cryptography.
# (the file has CRLF line ends)
sed -i 's/^from twisted\.internet import reactor, ssl\(.\{0,1\}\)$/from twisted.internet import reactor\1/' \
    "$SITE/autobahntestsuite/fuzzing.py"
# wstest imports one of autobahn's test files; the standard unittest does for it.
sed -i 's/^import unittest2 as unittest/import unittest/' "$SITE/autobahn/wamp/test/test_serializer.py"
find "$SITE" -name '*.pyc' -exec rm -f {} +

# ------------------------------------------------------------------ launchers
cat >"$DIR/wstest" <<E
#!/bin/sh
# made by get.sh
D=\$(cd "\$(dirname "\$0")" && pwd)
PY='$PY'
E
if [ -n "$LIB" ]; then
    cat >>"$DIR/wstest" <<E
PY=\$D'${PY#"$DIR"}'
LD_LIBRARY_PATH=\$D'${LIB#"$DIR"}'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
E
fi
cat >>"$DIR/wstest" <<'E'
PYTHONPATH=$D/site PYTHONNOUSERSITE=1 PYTHONUNBUFFERED=1 exec "$PY" -c '
import sys
sys.argv[0] = "wstest"
from autobahntestsuite.wstest import run
run()' "$@"
E
chmod +x "$DIR/wstest"
rm -rf "$TMP"

# it must start: list its modes' help
"$DIR/wstest" --help >/dev/null || { echo "wstest does not start" >&2; exit 1; }
echo "wstest is in $DIR, on $PY, $ACCEL"
