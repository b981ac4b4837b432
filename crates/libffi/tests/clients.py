#!/usr/bin/env python3
"""Runs the tests of programs that use libffi on another libffi.so.8: whatever passes on the system's must pass on it.

  clients.py LIBRARY_FOLDER WORK_FOLDER [CLIENT...]

Clients: ctypes (CPython's own tests), cffi (built from its source package, against the headers beside the library), fiddle
(Ruby's, from Debian's source package). What is fetched stays in the work folder for the next time. Debian packages that
are needed: libpython3.11-testsuite python3-dev python3-pytest python3-setuptools pkg-config ruby ruby-test-unit.
"""

import os
import pathlib
import re
import subprocess
import sys

from sources import fetch, must

# By name: what it is that makes a test fail or pass whatever the library is.
UNSTABLE = {"Fiddle::TestPointer.test_no_memory_leak": "counts pages of the process, which the environment's size moves"}
PYTHON = "/usr/bin/python3"


def run(command, folder, library=None, **environment):
    """Runs a command; gives its status and what it wrote."""
    environment = {**os.environ, **environment}
    if library:
        environment["LD_LIBRARY_PATH"] = str(library)
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", timeout=900
    )
    return done.returncode, done.stdout


class Ctypes:
    """CPython's tests of ctypes, of Debian's python3."""

    def __init__(self, work, library):
        self.folder = work

    def tests(self, library):
        _, text = run([PYTHON, "-m", "test", "test_ctypes", "-v"], self.folder, library)
        passed = {f"{where}.{name}" for name, where in re.findall(r"^(\w+) \(([\w.]+)\) \.\.\. ok$", text, re.M)}
        return passed, re.findall(r"^(?:Ran .*|Tests result.*)$", text, re.M)

    def loaded(self, library):
        return run([PYTHON, "-c", f"import ctypes; {MAPS}"], self.folder, library)[1]


class Cffi:
    """cffi's tests of its C part."""

    def __init__(self, work, library):
        self.folder = work / "cffi-1.17.1"
        if not self.folder.exists():
            must([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "cffi==1.17.1", "-d", work],
                 work)
            must(["tar", "xzf", "cffi-1.17.1.tar.gz"], work)
            config = str(library / "pkgconfig")
            must([PYTHON, "setup.py", "build_ext", "-i"], self.folder, env={**os.environ, "PKG_CONFIG_PATH": config})

    def tests(self, library):
        command = [PYTHON, "-m", "pytest", "-v", "-p", "no:cacheprovider", "src/c/test_c.py"]
        _, text = run(command, self.folder, library, PYTHONPATH="src")
        passed = set(re.findall(r"::(\w+) PASSED", text))
        return passed, re.findall(r"^=+ (\d+ passed.*?) =+$", text, re.M)

    def loaded(self, library):
        return run([PYTHON, "-c", f"import _cffi_backend; {MAPS}"], self.folder, library, PYTHONPATH="src")[1]


class Fiddle:
    """Ruby's tests of fiddle."""

    def __init__(self, work, library):
        self.folder = fetch("ruby3.1", work)

    def tests(self, library):
        files = 'require "test/unit"; Dir["test/fiddle/test_*.rb"].sort.each { |file| require "./" + file }'
        command = ["/usr/bin/ruby", "-Itest/lib", "-Itest/fiddle", "-Itest", "-e", files, "--", "-v"]
        _, text = run(command, self.folder, library)
        passed, group = set(), ""
        for line in text.splitlines():
            if found := re.match(r"\s*(Fiddle::\w+):\s*$", line):
                group = found[1]
            elif found := re.match(r"\s*(test_\w+):\s+\.: ", line):
                passed.add(f"{group}.{found[1]}")
        return passed, re.findall(r"^\d+ tests, .*$", text, re.M)

    def loaded(self, library):
        script = 'require "fiddle"; puts File.read("/proc/self/maps").lines.grep(/libffi/).first'
        return run(["/usr/bin/ruby", "-e", script], self.folder, library)[1]


MAPS = "print(next(line for line in open('/proc/self/maps') if 'libffi' in line))"
CLIENTS = {"ctypes": Ctypes, "cffi": Cffi, "fiddle": Fiddle}


def check(name, library, work):
    """Whether all that passes on the system's library passes on this one."""
    client = CLIENTS[name](work, library)
    loaded = client.loaded(library)
    if str(library) not in loaded:
        print(f"{name}: FAILED: another library was loaded: {loaded}")
        return False
    before, before_lines = client.tests(None)
    after, after_lines = client.tests(library)
    print(f"{name}, the system's libffi: {'; '.join(before_lines)}")
    print(f"{name}, {library}: {'; '.join(after_lines)}")
    lost = sorted(before - after - set(UNSTABLE))
    for test in UNSTABLE.keys() & (before ^ after):
        print(f"{name}: left out: {test}: {UNSTABLE[test]}")
    for test in lost:
        print(f"{name}: FAILED: {test} passes on the system's library alone")
    if not before:
        print(f"{name}: FAILED: no test ran")
    return bool(before) and not lost


def main():
    library, work, *names = sys.argv[1:]
    library, work = pathlib.Path(library).resolve(), pathlib.Path(work).resolve()
    work.mkdir(parents=True, exist_ok=True)
    results = [check(name, library, work) for name in names or CLIENTS]
    sys.exit(0 if all(results) else 1)


main()
