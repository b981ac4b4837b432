#!/usr/bin/env python3
"""summary.py index.json [EXPECTED_CASES] - list what was not OK; exit 1 on a failure.

OK, NON-STRICT and INFORMATIONAL pass, as in the suite's own reading; anything
else (FAILED, WRONG CODE, UNCLEAN, FAILED BY CLIENT, UNIMPLEMENTED ...) fails.
Cases missing from the index (see EXPECTED_CASES) count as failures too."""
import collections, json, sys

PASS = ("OK", "NON-STRICT", "INFORMATIONAL")
bad = passed = 0
for agent, cases in sorted(json.load(open(sys.argv[1])).items()):
    times = collections.Counter()
    for cid, c in sorted(cases.items(), key=lambda i: [int(n) for n in i[0].split(".")]):
        times[int(cid.split(".")[0])] += c["duration"]
        good = c["behavior"] in PASS and c["behaviorClose"] in PASS
        passed += good
        bad += not good
        if (c["behavior"], c["behaviorClose"]) != ("OK", "OK"):
            print("%s %-8s %s / close %s, code %s, %d ms" % (
                agent, cid, c["behavior"], c["behaviorClose"], c["remoteCloseCode"], c["duration"]))
    print("%s: seconds by group: %s" % (
        agent, ", ".join("%d: %.1f" % (g, t / 1000) for g, t in sorted(times.items()))))
    if len(sys.argv) > 2 and len(cases) < int(sys.argv[2]):
        print("%s: %d of %s cases have a result" % (agent, len(cases), sys.argv[2]))
        bad += int(sys.argv[2]) - len(cases)
print("%d passed, %d failed" % (passed, bad))
sys.exit(bad > 0 or not passed)
