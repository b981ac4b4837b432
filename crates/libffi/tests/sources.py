#!/usr/bin/env python3
"""Fetches a source package of Debian's, or the sources of a crate, and prints its folder: sources.py WORK_FOLDER NAME[=VERSION]

A name with a version is a crate's. What is there already is not fetched again.
"""

import pathlib
import subprocess
import sys


def must(command, folder, **more):
    """Runs a command that has to succeed; again where a server did not answer."""
    for _ in range(3):
        done = subprocess.run(
            list(map(str, command)), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", **more
        )
        if done.returncode == 0:
            return
    raise SystemExit(f"{' '.join(map(str, command))}:\n{done.stdout}")


def source_lists():
    """The system's own package sources, for source packages: those of its release, without updates. The archive keeps the
    sources of those for good."""
    places = [pathlib.Path("/etc/apt/sources.list"), *pathlib.Path("/etc/apt/sources.list.d").glob("debian.sources")]
    lines, stanzas = [], []
    for place in filter(pathlib.Path.exists, places):
        text = place.read_text()
        if place.suffix == ".sources":
            stanzas += [stanza.replace("Types: deb\n", "Types: deb-src\n") for stanza in text.split("\n\n") if "-security" not in stanza]
        else:
            lines += ["deb-src" + line[3:] for line in text.splitlines() if line.startswith("deb ") and "-security" not in line]
    return lines, stanzas


def debian(name, work):
    """The unpacked sources of a package."""
    place = work / name
    if not place.exists():
        fresh, lists = work / f"{name}.new", work / "lists"
        for folder in (fresh, lists, lists / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        lines, stanzas = source_lists()
        (work / "one.list").write_text("\n".join(lines) + "\n")
        parts = work / "parts"
        parts.mkdir(exist_ok=True)
        (parts / "debian.sources").write_text("\n\n".join(stanzas) + "\n")
        options = []
        for option in (f"Dir::Etc::sourcelist={work}/one.list", f"Dir::Etc::sourceparts={parts}", f"Dir::State::lists={lists}",
                       "APT::Sandbox::User=root"):
            options += ["-o", option]
        must(["apt-get", *options, "-qq", "update"], work)
        must(["apt-get", *options, "-qq", "source", "--download-only", name], fresh)
        must(["tar", "xf", next(fresh.glob("*.orig.tar.*"))], fresh)
        fresh.rename(place)
    return next(path for path in place.iterdir() if path.is_dir())


def crate(name, version, work):
    """The sources of a crate."""
    place = work / f"{name}-{version}"
    if not place.exists():
        fresh = work / "crate"
        (fresh / "src").mkdir(parents=True, exist_ok=True)
        (fresh / "src" / "lib.rs").write_text("")
        (fresh / "Cargo.toml").write_text(
            f'[package]\nname = "fetch"\nedition = "2021"\n[dependencies]\n{name} = "={version}"\n[workspace]\n'
        )
        must(["cargo", "vendor", "-q", "vendor"], fresh)
        (fresh / "vendor" / name).rename(place)
    return place


def fetch(what, work):
    """The folder of a source package or a crate."""
    work.mkdir(parents=True, exist_ok=True)
    name, _, version = what.partition("=")
    return crate(name, version, work) if version else debian(name, work)


if __name__ == "__main__":
    print(fetch(sys.argv[2], pathlib.Path(sys.argv[1]).resolve()))
