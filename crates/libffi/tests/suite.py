#!/usr/bin/env python3
"""Run libffi's DejaGnu test files against any libffi.so.8 (or .a), without DejaGnu.

  suite.py --include DIR --lib /path/libffi.so.8 --suite DIR/testsuite
               [--cc gcc] [--cxx g++] [--emu 'qemu-aarch64 -L /usr/aarch64-linux-gnu']
               [--jobs N] [--build CACHEDIR] [--only REGEX] [--skip REGEX]

--include  directory with ffi.h and ffitarget.h (fficonfig.h and ffi_common.h are made up if absent)
--runner   what runs the programs on this machine: valgrind -q --error-exitcode=9
--build    keep executables here; a later run with the same sources, headers,
           compiler and set of exported symbols only re-runs them
--skip     tests whose name matches count as skipped

One test = one file x optimisation x ABI (x DGTEST number in libffi.bhaible); it
passes when it compiles with no compiler output, exits 0 and its output matches
dg-output, as in DejaGnu. Honours dg-do target/xfail, dg-options, dg-output,
dg-skip-if, dg-xfail-if. Exit status 1 when any test failed.
"""
import argparse, concurrent.futures as cf, fnmatch, hashlib, os, re, shlex
import shutil, signal, subprocess, sys, tempfile

GROUPS = [  # directory, extensions, preprocessor condition that enables it
    ("libffi.call", (".c", ".cc"), None),
    ("libffi.closures", (".c", ".cc"), "#if FFI_CLOSURES"),
    ("libffi.complex", (".c", ".cc"), "#ifdef FFI_TARGET_HAS_COMPLEX_TYPE"),
    ("libffi.go", (".c", ".cc"), "#ifdef FFI_GO_CLOSURES"),
    ("libffi.vector", (".c", ".cc"), "#ifdef FFI_TARGET_HAS_VECTOR_TYPE"),
    ("libffi.bhaible", None, None),
    ("libffi.threads", (".c",), None),
]
FFICONFIG = "#define HAVE_STDINT_H 1\n#define HAVE_INTTYPES_H 1\n#define HAVE_LONG_DOUBLE 1\n"
# Two tests include libffi's private ffi_common.h, for these names only.
FFI_COMMON = """#include <stdint.h>
#include <fficonfig.h>
typedef uint8_t UINT8; typedef int8_t SINT8; typedef uint16_t UINT16; typedef int16_t SINT16;
typedef uint32_t UINT32; typedef int32_t SINT32; typedef uint64_t UINT64; typedef int64_t SINT64;
typedef float FLOAT32; typedef double FLOAT64;
"""
BHAIBLE_W = ["-Wno-unused-variable", "-Wno-unused-parameter",
             "-Wno-unused-but-set-variable", "-Wno-uninitialized"]


# ---- the little Tcl that dg- lines need -------------------------------------
def tcl_words(s):
    out, i, n = [], 0, len(s)
    esc = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
    while i < n:
        if s[i].isspace():
            i += 1
        elif s[i] == "{":
            depth, j = 1, i + 1
            while j < n and depth:
                depth += (s[j] == "{") - (s[j] == "}")
                j += 1
            out.append(s[i + 1:j - 1])
            i = j
        else:
            quoted = s[i] == '"'
            i += quoted
            w = ""
            while i < n and (s[i] != '"' if quoted else not s[i].isspace()):
                if s[i] == "\\" and i + 1 < n:
                    i += 1
                    w += esc.get(s[i], s[i])
                else:
                    w += s[i]
                i += 1
            i += quoted
            out.append(w)
    return out


DG = re.compile(r"\{[ \t]+(dg-[-a-z]+)[ \t]+(.*)[ \t]+\}[^}]*$")


class Directives:
    def __init__(self, path, triplet, keywords):
        self.triplet, self.kw = triplet, keywords
        self.do, self.selected, self.xfail = "compile", True, False
        self.options, self.output, self.output_xfail = [], None, False
        with open(path, errors="replace") as f:
            for line in f:
                m = DG.search(line.rstrip("\n"))
                if m:
                    self.apply(m.group(1), tcl_words(m.group(2)))

    def match(self, sel):  # a target list, an effective-target keyword or {expr}
        words = tcl_words(sel) if not isinstance(sel, list) else sel
        if len(words) == 2 and words[0] == "!":
            return not self.match(words[1])
        if len(words) == 3 and words[1] in ("&&", "||"):
            a, b = self.match(words[0]), self.match(words[2])
            return (a and b) if words[1] == "&&" else (a or b)
        for w in words:
            if w in self.kw:
                if self.kw[w]:
                    return True
            elif " " in w or "{" in w:
                if self.match(w):
                    return True
            elif fnmatch.fnmatchcase(self.triplet, w) or w == "native":
                return True
        return False

    def selector(self, arg):  # -> (selected, xfail) from "target .. xfail .."
        m = re.match(r"^\s*(target|xfail)\s+(.*)$", arg, re.S)
        if not m:
            raise ValueError("bad selector " + arg)
        kind, rest = m.groups()
        if kind == "xfail":
            return True, self.match(rest)
        t, _, x = rest.partition(" xfail ")
        sel = self.match(t)
        return sel, bool(sel and x and self.match(x))

    def apply(self, cmd, a):
        if cmd == "dg-do":
            self.do = a[0]
            if len(a) > 1:
                self.selected, self.xfail = self.selector(a[1])
        elif cmd == "dg-options":
            if len(a) < 2 or self.selector(a[1])[0]:
                self.options = shlex.split(a[0])
        elif cmd == "dg-output":
            if len(a) > 1:
                sel, xf = self.selector(a[1])
                if not sel:
                    return
                self.output_xfail |= xf
            self.output = (self.output or "") + a[0]
        elif cmd == "dg-skip-if":
            if self.match(a[1]):
                self.selected = False
        elif cmd == "dg-xfail-if":
            self.xfail |= self.match(a[1])
        else:
            raise ValueError("unhandled " + cmd)


# ---- helpers ----------------------------------------------------------------
def sh(cmd, timeout=300, **kw):
    """(exit status, stdout+stderr); status is 'timeout' or a signal name if killed."""
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         stdin=subprocess.DEVNULL, start_new_session=True, **kw)
    try:
        out = p.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out = p.communicate()[0]
        return "timeout", out.decode("utf-8", "replace")
    rc = p.returncode
    return (signal.Signals(-rc).name if rc < 0 else rc), out.decode("utf-8", "replace")


def canonical_triplet(t):
    parts = t.split("-")
    if len(parts) == 3:
        parts.insert(1, "pc" if parts[0] == "x86_64" else "unknown")
    return "-".join(parts)


def main():
    ap = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter,
                                 description=__doc__)
    ap.add_argument("--include", action="append", required=True)
    ap.add_argument("--lib", required=True)
    ap.add_argument("--suite", required=True)
    ap.add_argument("--cc", default="gcc")
    ap.add_argument("--cxx")
    ap.add_argument("--emu", default="")
    ap.add_argument("--runner", default="")
    ap.add_argument("--jobs", type=int, default=os.cpu_count())
    ap.add_argument("--opt", default="-O0,-O2")
    ap.add_argument("--build")
    ap.add_argument("--only", default="")
    ap.add_argument("--skip")
    ap.add_argument("--cflags", default="", help="extra flags for every test")
    ap.add_argument("--timeout", type=int, default=120)
    ap.add_argument("--ignore-warnings", action="store_true",
                    help="compiler output does not fail a test")
    ap.add_argument("--verbose", action="store_true")
    o = ap.parse_args()

    cc = shlex.split(o.cc)
    cxx = shlex.split(o.cxx) if o.cxx else [re.sub(r"gcc", "g++", c) for c in cc]
    if cxx == cc:
        cxx = [re.sub(r"clang$", "clang++", c) for c in cc]
    emu, suite = shlex.split(o.emu), os.path.abspath(o.suite)
    lib = os.path.realpath(o.lib)
    if not os.path.exists(lib):
        sys.exit("no such library: " + lib)
    incs = [os.path.abspath(d) for d in o.include]
    tmp = None
    build = os.path.abspath(o.build) if o.build else None
    if not build:
        tmp = build = tempfile.mkdtemp(prefix="ffisuite.")
    libdir = tempfile.mkdtemp(prefix="ffilib.")
    try:
        return run(o, cc, cxx, emu, suite, lib, incs, build, libdir)
    finally:
        shutil.rmtree(libdir, ignore_errors=True)
        if tmp:
            shutil.rmtree(tmp, ignore_errors=True)


def run(o, cc, cxx, emu, suite, lib, incs, build, libdir):
    os.makedirs(build, exist_ok=True)
    gen = os.path.join(build, "gen")
    os.makedirs(gen, exist_ok=True)
    for n, text in (("fficonfig.h", FFICONFIG), ("ffi_common.h", FFI_COMMON)):
        if not any(os.path.exists(os.path.join(d, n)) for d in incs):
            with open(os.path.join(gen, n), "w") as f:
                f.write(text)
    static = lib.endswith(".a")
    if static:
        link = [lib, "-lpthread", "-ldl"]
    else:
        for n in ("libffi.so", "libffi.so.8"):
            os.symlink(lib, os.path.join(libdir, n))
        link = ["-L" + libdir, "-lffi"]
    env = dict(os.environ, LC_ALL="C")
    env.pop("LD_PRELOAD", None)
    runner = shlex.split(o.runner)
    if emu:
        runner = emu + ["-E", "LD_LIBRARY_PATH=" + libdir]
        env.pop("LD_LIBRARY_PATH", None)
    else:
        env["LD_LIBRARY_PATH"] = libdir
    incflags = ["-I" + d for d in incs] + ["-I" + gen]

    rc, machine = sh(cc + ["-dumpmachine"])
    if rc:
        sys.exit("cannot run " + " ".join(cc))
    triplet = canonical_triplet(machine.strip())
    version = sh(cc + ["-v"])[1]
    is_clang = "clang version" in version
    m = re.search(r"gcc version (\d+)\.(\d+)", version)
    old_gcc = bool(m) and (int(m.group(1)), int(m.group(2))) < (9, 3)

    def feature(cond, mode=("-E",)):
        src = os.path.join(libdir, "feature.c")
        with open(src, "w") as f:
            f.write("#include <ffi.h>\n%s\n#else\n#error no\n#endif\nint main(void){return 0;}\n" % cond)
        rc, _ = sh(cc + list(mode) + incflags + [src, "-o", os.devnull])
        return rc == 0

    # Is the library that the tests will run on really the one we were given?
    probe = os.path.join(libdir, "probe.c")
    with open(probe, "w") as f:
        f.write('#define _GNU_SOURCE\n#include <ffi.h>\n#include <dlfcn.h>\n#include <stdio.h>\n'
                'int main(void){ffi_cif c;Dl_info i;void*h=dlsym(RTLD_DEFAULT,"ffi_prep_cif");'
                'if(ffi_prep_cif(&c,FFI_DEFAULT_ABI,0,&ffi_type_void,0)!=FFI_OK||!h||!dladdr(h,&i))'
                'return 1;puts(i.dli_fname);return 0;}\n')
    exe = os.path.join(libdir, "probe")
    rc, out = sh(cc + [probe] + incflags + link + ["-ldl", "-o", exe])
    if rc:
        sys.exit("the probe program does not build:\n" + out)
    if not static:
        rc, out = sh(runner + [exe], env=env)
        got = out.strip().split("\n")[-1]
        if rc or os.path.realpath(got) != lib:
            sys.exit("the probe did not load %s: status %s, output %r" % (lib, rc, out))
        if out.count("\n") > 1:
            print("note: " + out.strip())

    # Cache key: compiler, suite, headers, exported symbols.
    h = hashlib.sha1((version + FFICONFIG + FFI_COMMON).encode())
    for d in [suite] + incs:
        for root, dirs, files in os.walk(d):
            dirs.sort()
            if d != suite:
                dirs[:] = []
            for n in sorted(files):
                if n in ("ffi.h", "ffitarget.h", "fficonfig.h", "ffi_common.h") or d == suite:
                    h.update(n.encode())
                    with open(os.path.join(root, n), "rb") as f:
                        h.update(f.read())
    if static:
        with open(lib, "rb") as f:
            h.update(f.read())
    else:
        _, syms = sh(["readelf", "--dyn-syms", "-W", lib])
        names = sorted({l.split()[7] for l in syms.splitlines()
                        if len(l.split()) > 7 and "UND" not in l})
        h.update("\n".join(names).encode())
    basekey = h.hexdigest()

    base = ["-W", "-Wall"] + ([] if is_clang else ["-Wno-psabi", "-fno-diagnostics-color"])
    abis = [[]]
    if not is_clang and triplet.startswith("x86_64-") and \
            feature("#if !defined __ILP32__ && !defined __i386__"):
        abis.append(["-DABI_NUM=FFI_GNUW64", "-DABI_ATTR=__MSABI__"])

    tests = []  # (group, name, path, flags, keywords)
    skipped = []
    for group, exts, cond in GROUPS:
        d = os.path.join(suite, group)
        if not os.path.isdir(d):
            continue
        if exts is None:
            files = [(f, ["-DDGTEST=%d" % i] + BHAIBLE_W) for f, n in
                     (("test-call.c", 82), ("test-callback.c", 81)) for i in range(1, n)]
        else:
            files = [(f, []) for e in exts for f in sorted(os.listdir(d)) if f.endswith(e)]
        enabled = cond is None or feature(cond)
        for f, extra in files:
            path = os.path.join(d, f)
            with open(path, errors="replace") as fh:
                src = fh.read()
            for opt in o.opt.split(","):
                for abi in (abis if "ABI_NUM" in src else [[]]):
                    flags = extra[:1] + [opt] + abi
                    name = "%s/%s %s" % (group, f, " ".join(flags))
                    if o.only and not re.search(o.only, name):
                        continue
                    if not enabled or (o.skip and re.search(o.skip, name)):
                        skipped.append((group, name))
                        continue
                    t = extra[0].split("=")[1] if extra else ""
                    bug = old_gcc and bool(abi) and (
                        (t == "57" and f == "test-call.c") or
                        (t == "54" and f == "test-callback.c") or t in ("55", "56"))
                    tests.append((group, name, path, base + extra + [opt] + abi, {"gccbug": bug}))

    def one(t):
        """-> (verdict, reason, dejagnu passes, dejagnu failures)"""
        group, name, path, flags, kw = t
        d = Directives(path, triplet, kw)
        if not d.selected:
            return "skip", "not for this target", 0, 0
        compiler = cxx if path.endswith(".cc") else cc
        cmd = compiler + [path] + flags + d.options + shlex.split(o.cflags) + incflags
        if d.do == "compile":
            cmd += ["-S"]
        key = hashlib.sha1((basekey + "\0".join(
            compiler + [os.path.relpath(path, suite)] + flags + d.options + [o.cflags])).encode()).hexdigest()
        exe = os.path.join(build, key[:20])
        if not (os.path.exists(exe + ".log") and os.path.exists(exe)):
            tail = ["-o", exe] if d.do == "compile" else \
                link + (["-lpthread"] if "aarch64" in triplet else []) + ["-lm", "-o", exe]
            rc, out = sh(cmd + tail)
            with open(exe + ".log.tmp", "w") as f:
                f.write(out)
            os.replace(exe + ".log.tmp", exe + ".log")
        with open(exe + ".log") as f:
            comp = f.read().strip()
        np = nf = 0
        why = []
        if comp and not o.ignore_warnings:
            nf += 1
            why.append("compiler output: " + comp[:400])
        else:
            np += 1
        if d.do == "run":
            if not os.path.exists(exe):
                return "fail", "does not build: " + comp[:800], np, nf + 1
            st, out = sh(runner + [exe], timeout=o.timeout, env=env, cwd=libdir)
            if st != 0:
                (nf, np) = (nf, np + 1) if d.xfail else (nf + 1, np)
                why.append(("xfail " if d.xfail else "") + "exit status %s, output: %s" % (st, out.strip()[-300:]))
                if d.xfail:
                    return "skip", why[0], np, nf
            else:
                np += 1
                if d.xfail:
                    return "fail", "passes, but was expected to fail", np, nf + 1
                if d.output is not None:
                    pat = d.output.replace("\n", "\r?\n")
                    ok = re.search(pat, out) is not None
                    if ok == d.output_xfail:
                        nf += 1
                        why.append("output %r does not match %r" % (out[-300:], d.output[:300]))
                    else:
                        np += 1
        return ("fail" if nf else "pass"), "; ".join(why), np, nf

    per = {}
    passed = failed = dgp = dgf = 0
    for g, _ in skipped:
        per.setdefault(g, [0, 0, 0])[2] += 1
    nskip = len(skipped)
    with cf.ThreadPoolExecutor(max_workers=max(1, o.jobs)) as ex:
        for t, (v, why, a, b) in zip(tests, ex.map(one, tests)):
            row = per.setdefault(t[0], [0, 0, 0])
            dgp += a
            dgf += b
            if v == "pass":
                passed += 1
                row[0] += 1
                if o.verbose:
                    print("PASS " + t[1])
            elif v == "skip":
                nskip += 1
                row[2] += 1
                print("SKIP %s: %s" % (t[1], why))
            else:
                failed += 1
                row[1] += 1
                print("FAIL %s: %s" % (t[1], why.replace("\n", "\\n")))
            sys.stdout.flush()
    for g in sorted(per):
        print("  %-16s %5d passed %5d failed %5d skipped" % tuple([g] + per[g]))
    print("  (as DejaGnu counts: %d passes, %d failures; target %s)" % (dgp, dgf, triplet))
    print("%d passed, %d failed, %d skipped" % (passed, failed, nskip))
    if passed + failed == 0:
        print("nothing was run", file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
